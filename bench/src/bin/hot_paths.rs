//! Runs one hot path, for valgrind to count: `hot_paths NAME VALUES`.

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next().unwrap_or_default();
    let values = arguments.next().and_then(|values| values.parse().ok()).unwrap_or(1000);
    match bench::hot_paths::run(&name, values) {
        Some(result) => {
            println!("{result}");
            ExitCode::SUCCESS
        }
        None => {
            eprintln!("usage: hot_paths {} VALUES", bench::hot_paths::PATHS.map(|(name, _)| name).join("|"));
            ExitCode::from(2)
        }
    }
}
