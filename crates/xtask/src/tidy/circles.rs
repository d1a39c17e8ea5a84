//! Files of a crate that import each other in a circle.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use petgraph::algo::tarjan_scc;
use petgraph::graphmap::DiGraphMap;
use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};

use super::modules::{Import, Module, crates, imports, is_test};
use crate::packages::packages;

/// Finds import circles of more than `files_max` files.
///
/// A file imports another if it names something that the other file defines, in a `use` or in a
/// path. Tests do not count.
///
/// # Errors
///
/// Fails if a manifest or a source file cannot be read.
pub fn circles(root: &Path, files_max: usize) -> anyhow::Result<Vec<String>> {
    let mut complaints = Vec::new();
    for package in packages(root)? {
        for modules in crates(root, &package)? {
            let circles = circles_of(&modules).into_iter();
            for circle in circles.filter(|circle| circle.len() > files_max) {
                complaints.push(format!(
                    "{} files import each other in a circle: {}: move what they share into a file \
                     that imports none of them",
                    circle.len(),
                    circle.join(", ")
                ));
            }
        }
    }
    Ok(complaints)
}

/// The circles among the files of a crate, each sorted.
fn circles_of(modules: &[Module]) -> Vec<Vec<String>> {
    let mut graph = DiGraphMap::<&str, ()>::new();
    let imports = imports_between(modules);
    for (from, to) in imports
        .iter()
        .flat_map(|(from, to)| to.iter().map(move |to| (from, to)))
    {
        graph.add_edge(from, to, ());
    }
    let mut circles = Vec::new();
    for mut circle in tarjan_scc(&graph) {
        if circle.len() > 1 {
            circle.sort_unstable();
            circles.push(circle.into_iter().map(str::to_owned).collect());
        }
    }
    circles
}

/// The files that each file imports.
fn imports_between(modules: &[Module]) -> BTreeMap<&str, BTreeSet<&str>> {
    let mut between: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let names = Names { modules };
    for module in modules {
        let mut paths = Paths::default();
        module.items.iter().for_each(|item| paths.visit_item(item));
        for path in &paths.found {
            let target = names.file(module, path, 0);
            if let Some(file) = target.filter(|file| *file != module.file) {
                between.entry(&module.file).or_default().insert(file);
            }
        }
    }
    between
}

/// Collects the paths in a piece of code.
#[derive(Default)]
struct Paths {
    found: Vec<Vec<String>>,
}

impl Paths {
    /// A path of one name is a local name, which an import or a definition explains.
    fn add(&mut self, path: Vec<String>) {
        if path.len() > 1 {
            self.found.push(path);
        }
    }

    /// The arguments of a macro are not parsed, so look for paths among their tokens.
    fn add_tokens(&mut self, tokens: TokenStream) {
        let mut path = Vec::new();
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
                TokenTree::Ident(name) if colons == 2 && !path.is_empty() => {
                    path.push(name.to_string());
                    colons = 0;
                }
                TokenTree::Ident(name) => {
                    self.add(std::mem::replace(&mut path, vec![name.to_string()]));
                    colons = 0;
                }
                other => {
                    self.add(std::mem::take(&mut path));
                    colons = 0;
                    if let TokenTree::Group(group) = other {
                        self.add_tokens(group.stream());
                    }
                }
            }
        }
        self.add(path);
    }
}

impl<'ast> Visit<'ast> for Paths {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        let attributes = match item {
            syn::Item::Fn(item) => &item.attrs,
            syn::Item::Impl(item) => &item.attrs,
            syn::Item::Use(item) => &item.attrs,
            _ => return visit::visit_item(self, item),
        };
        if !is_test(attributes) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        // `use super::*` is a path of one name that does import.
        self.found
            .extend(imports(item).into_iter().map(|it| it.path));
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.leading_colon.is_none() {
            let names = path.segments.iter().map(|it| it.ident.to_string());
            self.add(names.collect());
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, item: &'ast syn::Macro) {
        self.visit_path(&item.path);
        self.add_tokens(item.tokens.clone());
    }

    fn visit_meta_list(&mut self, list: &'ast syn::MetaList) {
        self.add_tokens(list.tokens.clone());
    }

    fn visit_visibility(&mut self, _: &'ast syn::Visibility) {
        // `pub(in crate::store)` imports nothing.
    }
}

/// Finds out which file defines what a path names.
struct Names<'a> {
    modules: &'a [Module],
}

/// Imports that lead to each other end the search.
const IMPORTS_MAX: u8 = 16;

impl<'a> Names<'a> {
    /// The file of the item that a path in a module names, or `None` if it is in another crate.
    fn file(&self, module: &'a Module, path: &[String], depth: u8) -> Option<&'a str> {
        let (first, rest) = path.split_first()?;
        let start = match first.as_str() {
            _ if depth > IMPORTS_MAX => return None,
            "crate" => self.module(&[])?,
            "self" => module,
            "super" => self.parent(module)?,
            name => return self.named(module, name, rest, depth),
        };
        self.below(start, rest, depth)
    }

    /// The file of the item at a path below a module.
    fn below(&self, module: &'a Module, path: &[String], depth: u8) -> Option<&'a str> {
        match path.split_first() {
            None => Some(&module.file),
            Some((first, rest)) if first == "super" => {
                self.below(self.parent(module)?, rest, depth)
            }
            Some((first, rest)) => {
                // A name that is not found is made by a macro or imported from another crate.
                let found = self.named(module, first, rest, depth);
                found.or(Some(&module.file))
            }
        }
    }

    /// The file of what a name in a module leads to.
    fn named(&self, module: &'a Module, name: &str, rest: &[String], depth: u8) -> Option<&'a str> {
        if let Some(child) = self.child(module, name) {
            return self.below(child, rest, depth);
        }
        if module.names.contains(name) {
            return Some(&module.file);
        }
        let file = |import: &Import, rest: &[&[String]]| {
            let rest = rest.concat();
            self.file(module, &[import.path.clone(), rest].concat(), depth + 1)
        };
        let by_name = |import: &&Import| import.name.as_deref() == Some(name);
        if let Some(import) = module.imports.iter().find(by_name) {
            return file(import, &[rest]);
        }
        let globs = module.imports.iter().filter(|it| it.name.is_none());
        let globs = globs.filter_map(|glob| self.target(module, &glob.path));
        let mut globs = globs.filter(|target| !std::ptr::eq(*target, module));
        let defines = |target: &&Module| {
            target.names.contains(name)
                || self.child(target, name).is_some()
                || target
                    .imports
                    .iter()
                    .any(|it| it.name.as_deref() == Some(name))
        };
        self.named(globs.find(defines)?, name, rest, depth + 1)
    }

    /// The module at a path, if the path names no import.
    fn target(&self, module: &'a Module, path: &[String]) -> Option<&'a Module> {
        let mut at = module;
        for (index, name) in path.iter().enumerate() {
            at = match name.as_str() {
                "crate" => self.module(&[])?,
                "self" if index == 0 => module,
                "super" => self.parent(at)?,
                name => self.child(at, name)?,
            };
        }
        Some(at)
    }

    fn module(&self, path: &[String]) -> Option<&'a Module> {
        self.modules.iter().find(|module| module.path == path)
    }

    fn parent(&self, module: &Module) -> Option<&'a Module> {
        let (_, parent) = module.path.split_last()?;
        self.module(parent)
    }

    fn child(&self, module: &Module, name: &str) -> Option<&'a Module> {
        let path = [&module.path[..], &[name.to_owned()]].concat();
        self.module(&path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packages::workspace_with;

    /// The complaints about a crate `core` of these files.
    fn check(files: &[(&str, &str)]) -> Vec<String> {
        let files: Vec<_> = files
            .iter()
            .map(|(file, text)| (format!("crates/core/src/{file}"), *text))
            .collect();
        let files: Vec<_> = files.iter().map(|(file, text)| (&**file, *text)).collect();
        let root = workspace_with(&[("crates/core", "edition = \"2024\"")], &files);
        circles(root.path(), 2).unwrap()
    }

    const LIB: (&str, &str) = ("lib.rs", "mod a; mod b; mod c;");

    #[test]
    fn a_circle_of_three_files_is_found() {
        let complaints = check(&[
            LIB,
            ("a.rs", "use crate::b::B; pub struct A;"),
            ("b.rs", "pub struct B; fn f() { super::c::f() }"),
            ("c.rs", "pub fn f() { println!(\"{}\", crate::a::A) }"),
        ]);
        assert_eq!(complaints.len(), 1, "{complaints:?}");
        let start = "3 files import each other in a circle: crates/core/src/a.rs, \
                     crates/core/src/b.rs, crates/core/src/c.rs: ";
        assert!(complaints[0].starts_with(start), "{complaints:?}");
    }

    #[test]
    fn two_files_may_import_each_other() {
        let two = [
            LIB,
            ("a.rs", "use crate::b::B; pub struct A;"),
            ("b.rs", "pub struct B(super::a::A);"),
            ("c.rs", "use crate::{a, b}; pub(in crate::a) fn f() {}"),
        ];
        assert!(check(&two).is_empty());
    }

    #[test]
    fn an_import_leads_to_the_file_that_defines_the_item() {
        // `a` and `b` import from the root what `c` defines: none of them imports the root.
        let complaints = check(&[
            (
                "lib.rs",
                "mod a; mod b; mod c; pub use c::*; use a::A; use b::B;",
            ),
            ("a.rs", "use crate::C; pub struct A;"),
            ("b.rs", "use crate::C; pub struct B;"),
            ("c.rs", "pub struct C;"),
        ]);
        assert!(complaints.is_empty(), "{complaints:?}");
        let complaints = check(&[
            (
                "lib.rs",
                "mod a; mod b; mod c; pub struct C; use a::A; use b::B;",
            ),
            ("a.rs", "use crate::C; pub struct A;"),
            ("b.rs", "use crate::C; pub struct B;"),
            ("c.rs", ""),
        ]);
        assert_eq!(complaints.len(), 1, "{complaints:?}");
    }

    #[test]
    fn tests_do_not_count() {
        let complaints = check(&[
            LIB,
            ("a.rs", "use crate::b::B; pub struct A;"),
            ("b.rs", "use crate::c::C; pub struct B;"),
            (
                "c.rs",
                "pub struct C; #[cfg(test)] use crate::a::A;\n\
                     #[cfg(test)] mod tests { use crate::a::A; }\n\
                     #[test] fn f() { crate::a::A; }",
            ),
        ]);
        assert!(complaints.is_empty(), "{complaints:?}");
    }
}
