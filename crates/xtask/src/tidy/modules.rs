//! The modules of a crate: the files that `mod` declarations lead to, without tests.

use std::collections::HashSet;
use std::path::Path;

use anyhow::{Context, bail};
use cargo_metadata::TargetKind;
use syn::{Attribute, Item, ItemUse, UseTree};

use crate::files;
use crate::packages::Package;

/// A module of a crate.
pub(super) struct Module {
    /// The names from the root of the crate: `["store", "open"]`; empty for the root.
    pub(super) path: Vec<String>,
    /// The file, relative to the root of the tree. An inline module has the file of its parent.
    pub(super) file: String,
    /// The items, without inline modules and tests.
    pub(super) items: Vec<Item>,
    /// The names of the items.
    pub(super) names: HashSet<String>,
    /// The imports.
    pub(super) imports: Vec<Import>,
}

/// One name that a `use` brings into a module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Import {
    /// The path after `use`.
    pub(super) path: Vec<String>,
    /// The name in this module, or `None` for `*`.
    pub(super) name: Option<String>,
}

/// The modules of each library and program of a package.
pub(super) fn crates(root: &Path, package: &Package) -> anyhow::Result<Vec<Vec<Module>>> {
    let folder = package.metadata.manifest_path.parent();
    let folder = folder.context("a manifest is in a folder")?;
    let is_product = |kind: &TargetKind| matches!(kind, TargetKind::Lib | TargetKind::Bin);
    let mut crates = Vec::new();
    for target in &package.metadata.targets {
        if target.kind.iter().any(is_product) {
            let file = target.src_path.strip_prefix(folder)?;
            let file = file.as_str().replace('\\', "/");
            crates.push(modules(root, format!("{}/{file}", package.folder))?);
        }
    }
    Ok(crates)
}

/// Whether the attributes compile an item for tests only.
pub(super) fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let condition = attribute.meta.require_list();
        let condition = condition.map(|list| list.tokens.to_string().replace(' ', ""));
        attribute.path().is_ident("test")
            || attribute.path().is_ident("cfg")
                && condition.is_ok_and(|it| it == "test" || it.starts_with("all(test,"))
    })
}

/// The imports of a `use`.
pub(super) fn imports(item: &ItemUse) -> Vec<Import> {
    let mut imports = Vec::new();
    // The paths of `use ::name` begin with another crate.
    if item.leading_colon.is_none() {
        flatten(&item.tree, &mut Vec::new(), &mut imports);
    }
    imports
}

fn flatten(tree: &UseTree, prefix: &mut Vec<String>, imports: &mut Vec<Import>) {
    let path_to = |name: String| {
        let mut path = prefix.clone();
        if name != "self" || path.is_empty() {
            path.push(name);
        }
        path
    };
    match tree {
        UseTree::Path(path) => {
            prefix.push(path.ident.to_string());
            flatten(&path.tree, prefix, imports);
            prefix.pop();
        }
        UseTree::Name(name) => {
            let path = path_to(name.ident.to_string());
            let name = path.last().cloned();
            imports.push(Import { path, name });
        }
        UseTree::Rename(rename) => imports.push(Import {
            path: path_to(rename.ident.to_string()),
            name: Some(rename.rename.to_string()),
        }),
        UseTree::Glob(_) => imports.push(Import {
            path: prefix.clone(),
            name: None,
        }),
        UseTree::Group(group) => {
            for tree in &group.items {
                flatten(tree, prefix, imports);
            }
        }
    }
}

/// The modules of the crate whose root is this file.
fn modules(root: &Path, file: String) -> anyhow::Result<Vec<Module>> {
    let mut modules = Vec::new();
    let folder = file.rsplit_once('/').map_or("", |(folder, _)| folder);
    let folder = folder.to_owned();
    add_file(root, file, &folder, Vec::new(), &mut modules)?;
    Ok(modules)
}

fn add_file(
    root: &Path,
    file: String,
    folder: &str,
    path: Vec<String>,
    modules: &mut Vec<Module>,
) -> anyhow::Result<()> {
    let source = syn::parse_file(&files::text(root, &file)?);
    let items = source
        .with_context(|| format!("cannot parse {file}"))?
        .items;
    add(root, file, folder, path, items, modules)
}

/// Adds a module and, below it, its inner modules. `folder` is where files of inner modules are.
fn add(
    root: &Path,
    file: String,
    folder: &str,
    path: Vec<String>,
    items: Vec<Item>,
    modules: &mut Vec<Module>,
) -> anyhow::Result<()> {
    let mut own = Vec::new();
    let mut inner = Vec::new();
    for item in items {
        match item {
            Item::Mod(module) if !is_test(&module.attrs) => inner.push(module),
            Item::Mod(_) => {}
            item => own.push(item),
        }
    }
    let names = own.iter().filter_map(name).collect();
    let uses = own.iter().filter_map(|item| match item {
        Item::Use(item) if !is_test(&item.attrs) => Some(imports(item)),
        _ => None,
    });
    modules.push(Module {
        imports: uses.flatten().collect(),
        path: path.clone(),
        file: file.clone(),
        items: own,
        names,
    });
    for module in inner {
        let name = module.ident.to_string();
        let name = name.trim_start_matches("r#").to_owned();
        let folder = format!("{folder}/{name}");
        let path = [path.clone(), vec![name]].concat();
        match module.content {
            Some((_, items)) => add(root, file.clone(), &folder, path, items, modules)?,
            None => {
                let candidates = [format!("{folder}.rs"), format!("{folder}/mod.rs")];
                let found = candidates.iter().find(|file| root.join(file).is_file());
                let Some(found) = found else {
                    bail!("{file} declares {}, which has no file", path.join("::"));
                };
                add_file(root, found.clone(), &folder, path, modules)?;
            }
        }
    }
    Ok(())
}

/// The name that an item defines.
fn name(item: &Item) -> Option<String> {
    let name = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Macro(item) => item.ident.as_ref()?,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::Type(item) => &item.ident,
        Item::Union(item) => &item.ident,
        _ => return None,
    };
    Some(name.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packages::{packages, workspace_with};

    #[test]
    fn modules_are_followed_and_tests_are_not() {
        let root = workspace_with(
            &[("crates/core", "")],
            &[
                (
                    "crates/core/src/lib.rs",
                    "mod a;\nmod b { mod c; fn f() {} }\n#[cfg(test)]\nmod tests;\n\
                     #[cfg(not(test))]\nmod d;\nstruct S;",
                ),
                ("crates/core/src/a.rs", "mod e;"),
                ("crates/core/src/a/e.rs", ""),
                ("crates/core/src/b/c/mod.rs", ""),
                ("crates/core/src/d.rs", ""),
                ("crates/core/src/not_declared.rs", "is not Rust"),
                ("crates/core/src/main.rs", "fn main() {}"),
            ],
        );
        let packages = packages(root.path()).unwrap();
        let crates = crates(root.path(), &packages[0]).unwrap();
        assert_eq!(crates.len(), 2);
        let paths: Vec<_> = crates[0].iter().map(|it| it.path.join("::")).collect();
        assert_eq!(paths, ["", "a", "a::e", "b", "b::c", "d"]);
        let files: Vec<_> = crates[0].iter().map(|it| &it.file[16..]).collect();
        let wanted = ["lib.rs", "a.rs", "a/e.rs", "lib.rs", "b/c/mod.rs", "d.rs"];
        assert_eq!(files, wanted);
        assert!(crates[0][0].names.contains("S") && crates[0][3].names.contains("f"));
        assert_eq!(crates[1][0].file, "crates/core/src/main.rs");
    }

    #[test]
    fn a_use_is_one_import_for_each_name() {
        let file = "use crate::a::{self, B, c::{D as E, *}};\nuse ::other::F;";
        let file = syn::parse_file(file).unwrap();
        let of = |item: &Item| match item {
            Item::Use(item) => imports(item),
            _ => Vec::new(),
        };
        let import = |path: &str, name: Option<&str>| Import {
            path: path.split("::").map(str::to_owned).collect(),
            name: name.map(str::to_owned),
        };
        assert_eq!(
            file.items.iter().flat_map(of).collect::<Vec<_>>(),
            [
                import("crate::a", Some("a")),
                import("crate::a::B", Some("B")),
                import("crate::a::c::D", Some("E")),
                import("crate::a::c", None),
            ]
        );
    }
}
