//! The work on the body of a request is in proportion to its bytes.

use idmerge_adapters::{Adapted, BodyError, BodyLimits, Options, Output, Target, adapt_body};

#[test]
fn the_context_of_a_batch_counts_for_each_call_that_takes_it_over() {
    let max_adapted_bytes = 1_000_000;
    let limits = BodyLimits {
        max_calls: 2_000,
        max_call_bytes: 1_000_000,
        max_adapted_bytes,
    };
    let context = format!(r#"{{"a":"{}"}}"#, "x".repeat(10_000));
    // One output has the context in each event, and the other one has nothing of it.
    for output in [Output::Direct, Output::Mixpanel] {
        let mut options = Options::new(Target::Simplified);
        options.output = output;
        let adapt = |calls: usize, call: &str| {
            let calls = vec![call; calls].join(",");
            let body = format!(r#"{{"context":{context},"batch":[{calls}]}}"#);
            adapt_body(&options, None, &body, limits, &mut Adapted::default())
        };
        let call = r#"{"type":"track","event":"A","userId":"U"}"#;
        assert_eq!(adapt(90, call), Ok(()), "{output:?}");
        let error = BodyError::TooLong { max_adapted_bytes };
        assert_eq!(adapt(110, call), Err(error), "{output:?}");
        let own = r#"{"type":"track","event":"A","userId":"U","context":{}}"#;
        assert_eq!(adapt(110, own), Ok(()), "{output:?}");
    }
}
