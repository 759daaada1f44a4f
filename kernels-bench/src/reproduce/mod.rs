//! `kernels reproduce`: measurements on larger data, with a report.

mod large;

use clap::{Args, Subcommand};

use crate::{cli::Run, error::Error};

/// Options of `reproduce`.
#[derive(Debug, Args)]
pub(crate) struct Reproduce {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Exact regression on subsets, Falkon and EigenPro 3 on MNIST, Fashion-MNIST and flights: error, time, and how they grow.
    Large(large::Large),
}

impl Reproduce {
    pub(crate) fn run(&self, run: &Run) -> Result<(), Error> {
        match &self.command {
            Command::Large(command) => command.run(run),
        }
    }
}
