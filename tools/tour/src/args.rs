//! Owns the command line. Whatever it does not know is refused with a message.

use crate::text::Lang;

/// What `--help` prints.
pub(crate) const USAGE: &str = "\
usage: tour [--lang en|zh] [--list | --step NAME]

  --lang en|zh   in English (the default) or in Chinese
  --list         name the steps
  --step NAME    run one step only
  --help         print this";

/// A command line that was understood.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Args {
    pub(crate) lang: Lang,
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Walk,
    List,
    Step(String),
    Help,
}

impl Args {
    /// Reads the arguments that follow the program's name. The error is a message for the user.
    pub(crate) fn parse(args: impl IntoIterator<Item = String>) -> Result<Self, String> {
        let mut parsed = Self { lang: Lang::En, command: Command::Walk };
        let mut args = args.into_iter();
        while let Some(arg) = args.next() {
            // `--lang=zh` is `--lang zh`.
            let (name, inline) = match arg.split_once('=') {
                Some((name, value)) => (name, Some(value.to_string())),
                None => (arg.as_str(), None),
            };
            match (name, inline) {
                ("--lang", inline) => {
                    let value = inline.or_else(|| args.next()).ok_or("`--lang` needs a language: en or zh")?;
                    parsed.lang = match value.as_str() {
                        "en" => Lang::En,
                        "zh" => Lang::Zh,
                        _ => return Err(format!("unknown language `{value}`: en or zh")),
                    };
                }
                ("--step", inline) => {
                    let value = inline.or_else(|| args.next()).ok_or("`--step` needs a name: `--list` prints them")?;
                    parsed.set(Command::Step(value))?;
                }
                ("--list", None) => parsed.set(Command::List)?,
                ("--help" | "-h", None) => parsed.set(Command::Help)?,
                _ => return Err(format!("unknown argument `{arg}`")),
            }
        }
        Ok(parsed)
    }

    fn set(&mut self, command: Command) -> Result<(), String> {
        if self.command != Command::Walk {
            return Err("more than one of `--list`, `--step` and `--help`".to_string());
        }
        self.command = command;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Args, String> {
        Args::parse(line.split_whitespace().map(String::from))
    }

    #[test]
    fn arguments_are_understood() {
        assert_eq!(parse(""), Ok(Args { lang: Lang::En, command: Command::Walk }));
        assert_eq!(parse("--lang zh"), Ok(Args { lang: Lang::Zh, command: Command::Walk }));
        assert_eq!(parse("--lang=zh --list"), Ok(Args { lang: Lang::Zh, command: Command::List }));
        assert_eq!(parse("--step gen").map(|args| args.command), Ok(Command::Step("gen".to_string())));
        assert_eq!(parse("-h").map(|args| args.command), Ok(Command::Help));
    }

    #[test]
    fn everything_else_is_refused() {
        for line in ["--speed 9", "gen", "--lang", "--lang fr", "--step", "--list=1", "--list --step gen"] {
            assert!(parse(line).is_err(), "`{line}` was accepted");
        }
    }
}
