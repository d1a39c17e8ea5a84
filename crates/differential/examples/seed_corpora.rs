//! Writes the seeds of the fuzz targets into a folder: `seed_corpora fuzz/corpus`. `cargo xtask fuzz`
//! calls it.

#![allow(clippy::disallowed_methods, reason = "its purpose is to write files")]

use std::path::PathBuf;
use std::{env, error, fs};

use idmerge_differential::seeds;

fn main() -> Result<(), Box<dyn error::Error>> {
    let folder = PathBuf::from(env::args_os().nth(1).ok_or("usage: seed_corpora FOLDER")?);
    for seed in seeds()? {
        let corpus = folder.join(seed.target);
        fs::create_dir_all(&corpus)?;
        fs::write(corpus.join(format!("vector-{}", seed.name)), seed.bytes)?;
    }
    Ok(())
}
