//! Files beside the events: mappings, profiles, and the output of an earlier migration.

use std::io;
use std::sync::Arc;

use anyhow::{Context, anyhow};
use idmerge_migrate::{GatherError, Gathering, Place};

use crate::args::migrate::MigrateArgs;
use crate::commands::migrate::folder::Folder;
use crate::output::destination::Destination;
use crate::stream::input::sorted::Origins;
use crate::stream::input::{Input, Reread};
use crate::stream::progress::Progress;
use crate::stream::side_file::mapping::for_each_mapping;
use crate::stream::side_file::{self, for_each_text_line, with_text};

/// The files of `--mapping` and `--profiles`.
pub(super) struct SideFiles {
    mapping: Option<Input>,
    profiles: Option<Input>,
    /// The names of the inputs, and of those of these files that were read: evidence has their numbers.
    names: Vec<String>,
    /// Of each input whose records were sorted: where each record was.
    origins: Vec<Option<Arc<Origins>>>,
}

impl SideFiles {
    /// Finds them before anything is read.
    pub(super) fn find(args: &MigrateArgs) -> anyhow::Result<Self> {
        Ok(Self {
            mapping: side_file::find(args.mapping.as_ref())?,
            profiles: side_file::find(args.profiles.as_ref())?,
            names: Vec::new(),
            origins: Vec::new(),
        })
    }

    /// The hash of what is in the file of mappings.
    pub(super) fn hash_of_mapping(&mut self) -> anyhow::Result<Option<String>> {
        let Some(mapping) = &mut self.mapping else {
            return Ok(None);
        };
        let (name, progress) = (mapping.name.clone(), Progress::of_bytes(None, true));
        let mut text = mapping.read(Reread::Yes, &progress)?;
        let mut hasher = blake3::Hasher::new();
        io::copy(&mut text, &mut hasher).with_context(|| format!("cannot read {name}"))?;
        Ok(Some(hasher.finalize().to_hex().to_string()))
    }

    /// Takes note of the inputs. Call it before any of these files is read.
    pub(super) fn set_inputs(&mut self, inputs: &[Input]) {
        self.names = inputs.iter().map(|input| input.name.clone()).collect();
        self.origins = inputs.iter().map(Input::origins).collect();
    }

    /// The name of the file, and the line in it, that evidence is on.
    pub(super) fn find_place(&self, place: Place) -> Option<(String, u64)> {
        let file = usize::try_from(place.file).ok()?;
        match self.origins.get(file).and_then(Option::as_ref) {
            Some(origins) => {
                let (name, origin) = origins.of(place.line)?;
                Some((name.to_owned(), origin.line))
            }
            None => Some((self.names.get(file)?.clone(), place.line)),
        }
    }

    /// # Errors
    ///
    /// Writing to the destination would replace one of them.
    pub(super) fn must_be_kept_by(&self, destination: &Destination) -> anyhow::Result<()> {
        let files = self.mapping.iter().chain(&self.profiles);
        destination.must_keep(files, "--output")
    }

    /// Gives them, and the output of an earlier migration, to the first stage.
    pub(super) fn add_all(
        &mut self,
        folder: &Folder,
        gathering: &mut Gathering,
    ) -> anyhow::Result<()> {
        if let Some(mapping) = &mut self.mapping {
            let file = add_name(&mut self.names, mapping)?;
            add_mapping(mapping, file, gathering)?;
        }
        if let Some(profiles) = &mut self.profiles {
            for_each_profile(profiles, Reread::Yes, |line, _| {
                Ok(gathering.add_profile(line)?)
            })?;
        }
        folder.for_each_earlier_link(|line| Ok(gathering.add_earlier_link(line)?))?;
        folder.for_each_earlier_event(|line| Ok(gathering.add_earlier_event(line)?))
    }

    /// Visits the lines of the profiles again, with their places.
    pub(super) fn for_each_profile(
        &mut self,
        mut visit: impl FnMut(&str, Place) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let Some(profiles) = &mut self.profiles else {
            return Ok(());
        };
        let file = add_name(&mut self.names, profiles)?;
        for_each_profile(profiles, Reread::No, |text, line| {
            visit(text, Place { file, line })
        })
    }
}

/// Adds the name of a file, and returns its number.
fn add_name(names: &mut Vec<String>, file: &Input) -> anyhow::Result<u32> {
    let number = u32::try_from(names.len()).context("there are too many inputs")?;
    names.push(file.name.clone());
    Ok(number)
}

fn for_each_profile(
    file: &mut Input,
    reread: Reread,
    visit: impl FnMut(&str, u64) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    with_text(file, reread, |name, reader| {
        for_each_text_line(name, reader, visit)
    })
}

/// M-6, rank 2.
fn add_mapping(mapping: &mut Input, file: u32, gathering: &mut Gathering) -> anyhow::Result<()> {
    let shown = mapping.name.clone();
    for_each_mapping(mapping, |row, line| {
        let added = gathering.add_mapping(row.id, row.head, Place { file, line });
        added.map_err(|error| match error {
            GatherError::Invalid(error) => anyhow!("{shown}, line {line}: {error}"),
            error => error.into(),
        })
    })
}
