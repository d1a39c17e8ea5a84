//! The length of functions.

use std::path::Path;

use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Attribute, Block, Signature};

use super::modules::{crates, is_test};
use crate::packages::packages;

/// Finds functions of more than `lines_max` lines, from the signature to the closing brace, and
/// entries of `excused` that are not needed. Tests do not count. An entry is a file, a function
/// and the reason.
///
/// # Errors
///
/// Fails if a manifest or a source file cannot be read.
pub fn long_functions(
    root: &Path,
    lines_max: usize,
    excused: &[(&str, &str, &str)],
) -> anyhow::Result<Vec<String>> {
    let mut long = Vec::new();
    for package in packages(root)? {
        for module in crates(root, &package)?.iter().flatten() {
            let mut functions = Functions::default();
            module
                .items
                .iter()
                .for_each(|item| functions.visit_item(item));
            let found = functions
                .found
                .into_iter()
                .filter(|(_, lines)| *lines > lines_max);
            long.extend(found.map(|(name, lines)| (module.file.clone(), name, lines)));
        }
    }
    let is_excused = |file: &str, name: &str| {
        let mut entries = excused.iter();
        entries
            .any(|(excused_file, excused_name, _)| (*excused_file, *excused_name) == (file, name))
    };
    let mut complaints = Vec::new();
    for (file, name, lines) in long
        .iter()
        .filter(|(file, name, _)| !is_excused(file, name))
    {
        complaints.push(format!(
            "{file}: `{name}` has {lines} lines: split it, or add it to LONG_FUNCTIONS with a reason"
        ));
    }
    for (file, name, reason) in excused {
        if !long
            .iter()
            .any(|(long_file, long_name, _)| long_file == file && long_name == name)
        {
            complaints.push(format!(
                "{file}: `{name}` needs no entry: remove it from LONG_FUNCTIONS"
            ));
        } else if reason.is_empty() {
            complaints.push(format!(
                "{file}: `{name}`: give the reason in LONG_FUNCTIONS"
            ));
        }
    }
    Ok(complaints)
}

/// Collects the functions of a piece of code, each with its number of lines.
#[derive(Default)]
struct Functions {
    found: Vec<(String, usize)>,
}

impl Functions {
    fn add(&mut self, attributes: &[Attribute], signature: &Signature, body: &Block) {
        if !is_test(attributes) {
            let first = signature.span().start().line;
            let last = body.span().end().line;
            self.found
                .push((signature.ident.to_string(), last + 1 - first));
        }
    }
}

impl<'ast> Visit<'ast> for Functions {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.add(&item.attrs, &item.sig, &item.block);
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.add(&item.attrs, &item.sig, &item.block);
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        if let Some(body) = &item.default {
            self.add(&item.attrs, &item.sig, body);
        }
        visit::visit_trait_item_fn(self, item);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packages::workspace_with;

    #[test]
    fn a_long_function_needs_a_reason() {
        let source = "\
            fn three() {\n    ();\n}\n\
            struct S;\nimpl S {\n/// Documentation does not count.\n#[inline]\nfn four() {\n();\n();\n}\n}\n\
            trait T { fn five() {\n\n\n\n} }\n\
            #[test]\nfn test() {\n\n\n\n\n}\n\
            #[cfg(test)]\nmod tests { fn f() {\n\n\n\n\n} }\n";
        let lib = "crates/core/src/lib.rs";
        let root = workspace_with(&[("crates/core", "")], &[(lib, source)]);
        let check = |excused: &[_]| long_functions(root.path(), 3, excused).unwrap();
        let complaints = check(&[]);
        assert_eq!(complaints.len(), 2, "{complaints:?}");
        assert_eq!(
            complaints[0],
            "crates/core/src/lib.rs: `four` has 4 lines: split it, or add it to LONG_FUNCTIONS \
             with a reason"
        );
        assert!(complaints[1].contains("`five` has 5 lines"));

        let four = (lib, "four", "a list of rules");
        assert!(check(&[four, (lib, "five", "a list of rules")]).is_empty());
        let complaints = check(&[four, (lib, "five", ""), (lib, "three", "a list of rules")]);
        assert_eq!(
            complaints,
            [
                "crates/core/src/lib.rs: `five`: give the reason in LONG_FUNCTIONS",
                "crates/core/src/lib.rs: `three` needs no entry: remove it from LONG_FUNCTIONS",
            ]
        );
    }
}
