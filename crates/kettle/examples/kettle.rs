//! Four ways to ask whether the water boils. One and the same operation is called, polled, joined, or notifies: who
//! waits meanwhile, who does something useful, and how much of it gets done?
//!
//! `cargo run -p kettle --example kettle -- [--fast] [--svg FILE]`: the scenes are played with real waiting, a minute
//! in a tenth of a second (with `--fast` in two milliseconds), drawn here, and with `--svg` into a file.

use kettle::thread;
use kettle::time::{Duration, Instant};
use std::fmt::Write;
use std::process::ExitCode;

const USAGE: &str = "usage: kettle [--fast] [--svg FILE]";

/// How long what happens takes, in minutes.
const BOILING: f64 = 8.0;
const EPISODE: f64 = 2.0;
const WALK: f64 = 0.5;

/// The house: how long a minute is in it, and since when this is noted down.
#[derive(Clone, Copy)]
struct House {
    minute: Duration,
    begin: Instant,
}

/// What somebody or something does.
#[derive(Clone, Copy, PartialEq)]
enum Doing {
    Waits,
    Looks,
    Watches,
    Boils,
    StaysHot,
}

use Doing::{Boils, Looks, StaysHot, Waits, Watches};

/// What is done from one time to another, in minutes.
struct Span {
    doing: Doing,
    from: f64,
    to: f64,
}

/// A scene that was played.
struct Scene {
    title: &'static str,
    kind: &'static str,
    person: Vec<Span>,
    kettle: Vec<Span>,
}

// --- the scenes ---

/// An ordinary kettle, and he stands beside it: a call.
fn call(house: House, diary: &mut Vec<Span>) -> f64 {
    house.note(diary, Waits, || house.boil())
}

/// An ordinary kettle, and he watches television, and looks now and then: `is_finished`.
fn poll(house: House, diary: &mut Vec<Span>) -> f64 {
    let kettle = thread::spawn(move || house.boil());
    loop {
        house.note(diary, Watches, || house.pass(EPISODE));
        house.note(diary, Looks, || house.pass(WALK));
        if kettle.is_finished() {
            return kettle.join().expect("it boils");
        }
    }
}

/// A whistling kettle, and he stands beside it all the same: `join`.
fn join(house: House, diary: &mut Vec<Span>) -> f64 {
    let kettle = thread::spawn(move || house.boil());
    house.note(diary, Waits, || kettle.join().expect("it boils"))
}

/// A whistling kettle, and he watches television until it whistles: `on_done`.
fn notify(house: House, diary: &mut Vec<Span>) -> f64 {
    let kettle = thread::spawn(move || house.boil());
    let viewer = thread::current();
    let whistle = kettle.on_done(move |boiled| {
        viewer.unpark();
        boiled.expect("it boils")
    });
    house.note(diary, Watches, || {
        while !whistle.is_finished() {
            thread::park();
        }
    });
    house.note(diary, Looks, || house.pass(WALK));
    whistle.join().expect("it whistles")
}

impl House {
    /// Boils water, and gives when it has boiled.
    fn boil(self) -> f64 {
        self.pass(BOILING);
        self.time()
    }

    fn pass(self, minutes: f64) {
        thread::sleep(self.minute.mul_f64(minutes));
    }

    fn time(self) -> f64 {
        self.begin.elapsed().as_secs_f64() / self.minute.as_secs_f64()
    }

    /// Does something, and writes down how long.
    fn note<T>(self, diary: &mut Vec<Span>, doing: Doing, f: impl FnOnce() -> T) -> T {
        let from = self.time();
        let result = f();
        diary.push(Span { doing, from, to: self.time() });
        result
    }
}

fn play(minute: Duration) -> Vec<Scene> {
    type Way = fn(House, &mut Vec<Span>) -> f64;
    let scenes: [(_, _, Way); 4] = [
        ("An ordinary kettle: stand and wait", "synchronous, blocking: a call", call),
        ("An ordinary kettle: watch television, look now and then", "synchronous, non-blocking: a poll", poll),
        ("A whistling kettle: stand and wait", "asynchronous, blocking: a join", join),
        ("A whistling kettle: watch television until it whistles", "asynchronous, non-blocking: a notice", notify),
    ];
    let play = |(title, kind, way): (_, _, Way)| {
        let house = House { minute, begin: Instant::now() };
        let mut person = Vec::new();
        let boiled = way(house, &mut person);
        let to = person.last().map_or(boiled, |last| last.to);
        let kettle = vec![Span { doing: Boils, from: 0.0, to: boiled }, Span { doing: StaysHot, from: boiled, to }];
        Scene { title, kind, person, kettle }
    };
    scenes.map(play).into()
}

impl Scene {
    fn end(&self) -> f64 {
        self.person.last().map_or(0.0, |last| last.to)
    }

    fn minutes_of(&self, doing: Doing) -> f64 {
        self.person.iter().filter(|span| span.doing == doing).fold(0.0, |sum, span| sum + (span.to - span.from))
    }

    fn account(&self) -> String {
        let [waits, looks, watches] = [Waits, Looks, Watches].map(|doing| self.minutes_of(doing));
        let end = self.end();
        format!("tea after {end:.1} minutes: {watches:.1} of television, {looks:.1} on the way, {waits:.1} waiting")
    }
}

// --- drawing ---

impl Doing {
    const ALL: [Self; 5] = [Watches, Looks, Waits, Boils, StaysHot];

    fn mark(self) -> char {
        match self {
            Watches => '█',
            Looks => '?',
            Waits => '.',
            Boils => '~',
            StaysHot => '-',
        }
    }

    fn colour(self) -> &'static str {
        match self {
            Watches => "#2f6f9f",
            Looks => "#edae49",
            Waits => "#c9ced6",
            Boils => "#d1495b",
            StaysHot => "#f0c3c8",
        }
    }

    fn words(self) -> &'static str {
        match self {
            Watches => "watches television",
            Looks => "goes and looks",
            Waits => "waits",
            Boils => "boils",
            StaysHot => "has boiled",
        }
    }
}

/// Draws a line of a scene, four characters a minute.
fn bar(spans: &[Span]) -> String {
    let column = |minutes: f64| (minutes * 4.0).round() as usize;
    let run = |span: &Span| span.doing.mark().to_string().repeat(column(span.to) - column(span.from));
    spans.iter().map(run).collect()
}

fn draw(scenes: &[Scene]) -> String {
    let mut text = String::new();
    for (number, scene) in scenes.iter().enumerate() {
        text += &format!("{}. {} ({})\n", number + 1, scene.title, scene.kind);
        text += &format!("   person  {}\n", bar(&scene.person));
        text += &format!("   kettle  {}\n", bar(&scene.kettle));
        text += &format!("   {}\n\n", scene.account());
    }
    let legend = Doing::ALL.map(|doing| format!("{} {}", doing.mark(), doing.words()));
    text + &legend.join("   ") + "\n"
}

const WIDTH: f64 = 960.0;
const MARGIN: f64 = 40.0;
const LEFT: f64 = 120.0;
const TOP: f64 = 104.0;
const ROW: f64 = 132.0;
const BAR: f64 = 22.0;

/// Draws all of it as a picture that needs nothing else.
fn svg(scenes: &[Scene]) -> Result<String, std::fmt::Error> {
    let end = scenes.iter().map(Scene::end).fold(1.0, f64::max).ceil();
    let x = |minutes: f64| LEFT + minutes * (WIDTH - LEFT - MARGIN) / end;
    let bottom = TOP + ROW * scenes.len() as f64;
    let height = bottom + 76.0;
    let mut out = String::new();
    writeln!(
        out,
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="system-ui, 'Segoe UI', Helvetica, Arial, sans-serif" font-size="14" fill="#22303c">
<title>Four ways to ask whether the water boils</title>
<rect width="{WIDTH}" height="{height}" rx="12" fill="#fbfaf7"/>
<text x="{MARGIN}" y="48" font-size="26" font-weight="600">Four ways to ask whether the water boils</text>
<text x="{MARGIN}" y="74" fill="#5c6975">The same operation is called, polled, joined, or notifies. Times are in minutes.</text>"##
    )?;
    for minute in 0..=end as u32 {
        let x = x(f64::from(minute));
        let lines: String =
            (0..scenes.len()).map(|row| format!("M{x:.1} {}v62", TOP + ROW * row as f64 + 30.0)).collect();
        writeln!(
            out,
            r##"<path d="{lines}" stroke="#e4e1da"/><text x="{x:.1}" y="{}" font-size="12" fill="#5c6975" text-anchor="middle">{minute}</text>"##,
            bottom + 8.0
        )?;
    }
    for (number, scene) in scenes.iter().enumerate() {
        let y = TOP + ROW * number as f64;
        let (number, title, kind, account) = (number + 1, scene.title, scene.kind, scene.account());
        writeln!(
            out,
            r##"<text x="{MARGIN}" y="{:.1}" font-size="16" font-weight="600">{number}. {title}</text>
<text x="{:.1}" y="{0:.1}" fill="#5c6975" text-anchor="end">{kind}</text>
<text x="{MARGIN}" y="{:.1}" font-size="13" fill="#5c6975">{account}</text>"##,
            y + 22.0,
            WIDTH - MARGIN,
            y + 110.0
        )?;
        for (name, spans, y) in [("person", &scene.person, y + 36.0), ("kettle", &scene.kettle, y + 64.0)] {
            writeln!(out, r#"<text x="{MARGIN}" y="{:.1}">{name}</text>"#, y + 16.0)?;
            for Span { doing, from, to } in spans.iter().filter(|span| span.to > span.from) {
                let (from, to) = (x(*from), x(*to));
                writeln!(
                    out,
                    r#"<rect x="{from:.1}" y="{y:.1}" width="{:.1}" height="{BAR}" rx="3" fill="{}"/>"#,
                    to - from,
                    doing.colour()
                )?;
            }
        }
    }
    for (place, doing) in Doing::ALL.into_iter().enumerate() {
        let (x, y) = (MARGIN + 178.0 * place as f64, bottom + 38.0);
        writeln!(
            out,
            r#"<rect x="{x}" y="{y}" width="16" height="16" rx="3" fill="{}"/><text x="{}" y="{}">{}</text>"#,
            doing.colour(),
            x + 24.0,
            y + 13.0,
            doing.words()
        )?;
    }
    out += "</svg>\n";
    Ok(out)
}

// --- the program ---

struct Arguments {
    minute: Duration,
    svg: Option<String>,
}

/// Reads the arguments. If they are none that it has, gives what is wrong with them.
fn read_arguments(mut words: impl Iterator<Item = String>) -> Result<Arguments, String> {
    let mut read = Arguments { minute: Duration::from_millis(100), svg: None };
    while let Some(word) = words.next() {
        match word.as_str() {
            "--fast" => read.minute = Duration::from_millis(2),
            "--svg" => match words.next() {
                Some(file) if !file.starts_with("--") => read.svg = Some(file),
                _ => return Err("`--svg` wants a file".to_owned()),
            },
            _ => return Err(format!("there is no argument `{word}`")),
        }
    }
    Ok(read)
}

fn main() -> ExitCode {
    let words = std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned());
    let arguments = match read_arguments(words) {
        Ok(arguments) => arguments,
        Err(wrong) => {
            eprintln!("kettle: {wrong}; {USAGE}");
            return ExitCode::from(2);
        }
    };
    let scenes = kettle::run(|| play(arguments.minute));
    print!("{}", draw(&scenes));
    if let Some(file) = arguments.svg {
        let picture = svg(&scenes).expect("a string takes all that is written");
        if let Err(error) = std::fs::write(&file, picture) {
            eprintln!("kettle: write {file}: {error}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
