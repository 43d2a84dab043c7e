//! The program: arguments in, a report out, a progress bar meanwhile if somebody is watching.
#![forbid(unsafe_code)]

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressFinish, ProgressStyle};
use kettle::{EventLoop, thread};
use load::args::{self, Command, Form};
use load::{Load, Plan, Report};
use std::io::{self, IsTerminal};
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;

/// How often the bar is drawn.
const TICK: Duration = Duration::from_millis(250);

fn main() -> ExitCode {
    let words = std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned());
    let (plan, form) = match args::parse(words) {
        Ok(Command::Run(plan, form)) => (plan, form),
        Ok(Command::Help) => {
            println!("{}", args::USAGE);
            return ExitCode::SUCCESS;
        }
        Err(message) => {
            eprintln!("load: {message}\n\n{}", args::USAGE);
            return ExitCode::from(2);
        }
    };
    let mut event_loop = match EventLoop::new() {
        Ok(event_loop) => event_loop,
        Err(error) => {
            eprintln!("load: {error}");
            return ExitCode::FAILURE;
        }
    };
    let driver = event_loop.driver().kind();
    let report = event_loop.run(|| run(plan.clone()));
    match form {
        Form::Text => print!("{}", report.text(&plan, driver)),
        Form::Json => println!("{}", report.json(&plan, driver)),
    }
    if report.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn run(plan: Plan) -> Report {
    let load = Rc::new(Load::new(plan));
    if io::stderr().is_terminal() {
        let load = Rc::clone(&load);
        // It is cancelled when the run is over.
        thread::spawn(move || watch(&load));
    }
    load.run()
}

fn watch(load: &Load) -> ! {
    let style = ProgressStyle::with_template("{bar:40} {percent:>3}%  {msg}").expect("invariant: a constant");
    let bar = ProgressBar::with_draw_target(Some(1000), ProgressDrawTarget::stderr());
    let bar = bar.with_style(style).with_finish(ProgressFinish::AndClear);
    let mut before = 0;
    loop {
        let answered = load.answered();
        let per_second = (answered - before) as f64 / TICK.as_secs_f64();
        before = answered;
        bar.set_position(load.progress().min(1000));
        bar.set_message(format!("{answered} answers, {per_second:.0} a second"));
        thread::sleep(TICK);
    }
}
