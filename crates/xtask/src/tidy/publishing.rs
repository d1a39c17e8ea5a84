//! What a package needs before it can be published.

use std::path::Path;

use cargo_metadata::DependencyKind;

use crate::packages::{Package, packages};

/// The categories in use. The registry rejects a category that it does not know.
const CATEGORIES: [&str; 11] = [
    "algorithms",
    "command-line-utilities",
    "concurrency",
    "config",
    "data-structures",
    "database-implementations",
    "development-tools::testing",
    "encoding",
    "parser-implementations",
    "simulation",
    "web-programming::http-server",
];

/// The largest number of keywords that the registry accepts.
const KEYWORDS_MAX: usize = 5;

/// The files that a package must contain besides its code. Licence files are symbolic links to
/// those of the root: cargo packages what they point to.
const FILES: [&str; 3] = ["README.md", "LICENSE-APACHE", "LICENSE-MIT"];

/// Finds packages that lack what a published package needs. `internal` has the folders of the
/// packages that must not be published.
///
/// # Errors
///
/// Fails if a manifest cannot be read.
pub fn publishing(root: &Path, internal: &[&str]) -> anyhow::Result<Vec<String>> {
    let mut complaints = Vec::new();
    for package in packages(root)? {
        let manifest = format!("{}/Cargo.toml", package.folder);
        let is_published = package.is_published();
        if internal.contains(&package.name.as_str()) {
            if is_published {
                complaints.push(format!("{manifest}: write `publish = false`"));
            }
        } else if !is_published {
            complaints.push(format!(
                "{manifest}: remove `publish = false`, or add {} to INTERNAL",
                package.name
            ));
        } else {
            complaints.extend(lacking(&package).map(|lack| format!("{manifest}: {lack}")));
            let missing = |file: &&&str| !root.join(&package.folder).join(file).is_file();
            let missing = FILES.iter().filter(missing);
            complaints.extend(missing.map(|file| format!("{}/{file} is missing", package.folder)));
        }
    }
    Ok(complaints)
}

/// What the manifest of a published package lacks.
fn lacking(package: &Package) -> impl Iterator<Item = String> {
    let metadata = &package.metadata;
    let name = metadata.name.as_str();
    let mut lacking = Vec::new();
    let texts = [
        ("description", &metadata.description),
        ("license", &metadata.license),
        ("repository", &metadata.repository),
    ];
    let missing = texts.iter().filter(|(_, text)| text.is_none());
    lacking.extend(missing.map(|(key, _)| format!("add `{key}`")));
    let docs = format!("https://docs.rs/{name}");
    if metadata.documentation.as_ref() != Some(&docs) {
        lacking.push(format!("write `documentation = \"{docs}\"`"));
    }
    if !(1..=KEYWORDS_MAX).contains(&metadata.keywords.len()) {
        lacking.push(format!("write 1 to {KEYWORDS_MAX} `keywords`"));
    }
    let unknown = |category: &&String| !CATEGORIES.contains(&category.as_str());
    if metadata.categories.is_empty() {
        lacking.push("write `categories`".to_owned());
    }
    for category in metadata.categories.iter().filter(unknown) {
        lacking.push(format!(
            "{category:?} is not in CATEGORIES of tidy/publishing.rs: check that the registry \
             has this category, then add it"
        ));
    }
    // Cargo leaves such a dependency out of the published package if only tests use it.
    let without_version = metadata.dependencies.iter().filter(|it| {
        it.kind != DependencyKind::Development && it.path.is_some() && it.req.comparators.is_empty()
    });
    for dependency in without_version {
        lacking.push(format!("give a version of {}", dependency.name));
    }
    lacking.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packages::workspace_with;

    const COMPLETE: &str = r#"
        description = "A crate"
        license = "MIT"
        repository = "https://example.org"
        documentation = "https://docs.rs/idmerge-core"
        keywords = ["identity"]
        categories = ["algorithms"]
    "#;

    fn check(manifest: &str, internal: &[&str]) -> Vec<String> {
        let files = FILES.map(|file| (format!("crates/core/{file}"), ""));
        let files: Vec<_> = files.iter().map(|(file, text)| (&**file, *text)).collect();
        let root = workspace_with(&[("crates/core", manifest)], &files);
        publishing(root.path(), internal).unwrap()
    }

    #[test]
    fn a_complete_package_can_be_published() {
        assert_eq!(check(COMPLETE, &[]), [""; 0]);
        assert_eq!(check("publish = false", &["core"]), [""; 0]);
        assert_eq!(
            check(COMPLETE, &["core"]),
            ["crates/core/Cargo.toml: write `publish = false`"]
        );
        assert_eq!(
            check("publish = false", &[]),
            ["crates/core/Cargo.toml: remove `publish = false`, or add core to INTERNAL"]
        );
    }

    #[test]
    fn whatever_is_missing_is_named() {
        for line in COMPLETE.lines().map(str::trim).filter(|it| !it.is_empty()) {
            let (key, _) = line.split_once(' ').unwrap();
            let complaints = check(&COMPLETE.replace(line, ""), &[]);
            assert_eq!(complaints.len(), 1, "{complaints:?}");
            assert!(complaints[0].contains(&format!("`{key}")), "{complaints:?}");
        }
        let complaints = check(&COMPLETE.replace("algorithms", "algorithm"), &[]);
        assert!(complaints[0].contains("\"algorithm\" is not in CATEGORIES"));

        let root = workspace_with(&[("crates/core", COMPLETE)], &[]);
        assert_eq!(
            publishing(root.path(), &[]).unwrap(),
            FILES.map(|file| format!("crates/core/{file} is missing"))
        );
    }

    #[test]
    fn a_dependency_needs_a_version_unless_only_tests_use_it() {
        let path = "idmerge-suite = { path = \"../suite\" }";
        let complaints = |section: &str| {
            let files = FILES.map(|file| (format!("crates/core/{file}"), ""));
            let files: Vec<_> = files.iter().map(|(file, text)| (&**file, *text)).collect();
            let core = format!("{COMPLETE}\n[{section}]\n{path}");
            let packages = [("crates/core", &*core), ("crates/suite", "publish = false")];
            publishing(workspace_with(&packages, &files).path(), &["suite"]).unwrap()
        };
        assert_eq!(complaints("dev-dependencies"), [""; 0]);
        assert_eq!(
            complaints("dependencies"),
            ["crates/core/Cargo.toml: give a version of idmerge-suite"]
        );
    }
}
