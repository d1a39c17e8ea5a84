//! The conformance suite of idmerge, and the vectors of this model.

use idmerge_conformance::Suite;
use posthog_model::PostHog;

fn main() -> std::process::ExitCode {
    let suite = Suite::new(|settings| Box::new(PostHog::new(settings.id_rules())));
    suite.vectors(include_str!("vectors.toml")).main()
}
