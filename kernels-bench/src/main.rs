//! The `kernels` command line: see `kernels --help`.

mod cli;
mod data;
mod datasets;
mod error;
mod fetch;
mod input;
mod model;
mod peers;
mod report;
mod reproduce;
mod scores;
mod tour;
mod vocabulary;

use std::process::ExitCode;

fn main() -> ExitCode {
    match cli::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err((error, json)) => {
            if json {
                cli::say(&serde_json::json!({"error": error.to_string(), "code": error.code()}).to_string());
            }
            eprintln!("kernels: {error}");
            ExitCode::from(error.code())
        }
    }
}
