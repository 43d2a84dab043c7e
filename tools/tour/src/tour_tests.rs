//! Tests of the walk: the real chapters in both languages, and what a difference leads to.

use super::*;
use crate::chapters::CHAPTERS;
use crate::layout::columns;
use std::collections::BTreeSet;

fn steps() -> impl Iterator<Item = (&'static Chapter, &'static Step)> {
    CHAPTERS.iter().flat_map(|chapter| chapter.steps.iter().map(move |step| (chapter, step)))
}

/// Runs a tour into memory.
fn written(run: impl FnOnce(&mut Screen<'_>)) -> String {
    let mut bytes = Vec::new();
    let mut screen = Screen::plain(&mut bytes, 100);
    run(&mut screen);
    screen.finish().expect("memory takes everything");
    String::from_utf8(bytes).expect("the tour writes text")
}

#[test]
fn every_step_runs_and_prints_what_was_stored() {
    for (_, step) in steps() {
        let output = Output::new(&|_| {});
        let outcome = (step.run)(&output);
        assert!(outcome.is_ok(), "`{}` failed: {outcome:?}", step.name);
        let lines = output.into_lines();
        assert!(!lines.is_empty(), "`{}` printed nothing", step.name);
        let stored = match step.beside {
            Beside::Python(Twin { prints: Prints::Same(stored), .. }) | Beside::Stored(stored) => stored,
            Beside::Python(Twin { prints: Prints::Measurements, .. }) => continue,
        };
        assert_eq!(lines, stored.lines().collect::<Vec<_>>(), "`{}` prints something else", step.name);
    }
}

#[test]
fn python_still_prints_what_was_stored() {
    let Some(python) = Interpreter::find() else { return };
    for (_, step) in steps() {
        let Beside::Python(twin) = step.beside else { continue };
        let printed = python.run(twin.listing).expect("the twin runs");
        match twin.prints {
            Prints::Same(stored) => assert_eq!(printed, stored, "`{}` under {}", step.name, python.version),
            Prints::Measurements => assert!(!printed.is_empty(), "`{}` measures nothing", step.name),
        }
    }
}

#[test]
fn every_listing_is_in_the_compiled_source_and_holds_what_runs() {
    let mut names = BTreeSet::new();
    for (chapter, step) in steps() {
        assert!(names.insert(step.name), "two steps are called `{}`", step.name);
        let listing = cut(chapter.source, step.name).expect(step.name);
        assert!(listing.contains(&format!("fn run_{}(", step.name)), "`{}` does not show what runs", step.name);
        assert!(chapter.source.contains(&format!("run: run_{},", step.name)), "`{}` runs something else", step.name);
        assert_eq!(chapter.source.matches(&format!("// listing: {}\n", step.name)).count(), 1);
    }
}

#[test]
fn every_listing_fits_into_80_columns() {
    for (chapter, step) in steps() {
        let listing = cut(chapter.source, step.name).expect(step.name);
        let twin = match step.beside {
            Beside::Python(twin) => twin.listing,
            Beside::Stored(_) => "",
        };
        for line in listing.lines().chain(twin.lines()) {
            // A margin, a bar and a space stand before it.
            assert!(columns(line) <= 76, "`{}` has a wide line: {line}", step.name);
        }
    }
}

#[test]
fn every_text_is_there_in_both_languages() {
    let own = [
        WELCOME,
        PRINTS,
        AGREES,
        AGREES_STORED,
        AS_STORED,
        NOT_AS_STORED,
        LEARNED,
        DIFFERS,
        DIFFERS_LIVE,
        FAILED,
        NO_LISTING,
        MEASURES,
        NO_MEASURE,
        END,
        ALL_AGREE,
        SOME_DIFFER,
        FAREWELL,
    ];
    let chapters = CHAPTERS.iter().flat_map(|chapter| [chapter.title, chapter.learned]);
    let steps = steps().flat_map(|(_, step)| [step.title, step.text]);
    let is_chinese = |c: char| ('\u{4e00}'..='\u{9fff}').contains(&c);
    for text in own.into_iter().chain(chapters).chain(steps) {
        assert!(text.en.contains(|c: char| c.is_ascii_alphabetic()), "no English: {text:?}");
        assert!(!text.en.contains(is_chinese), "Chinese in English: {text:?}");
        assert!(text.zh.contains(is_chinese), "no Chinese: {text:?}");
        assert_eq!(text.en.matches("{}").count(), text.zh.matches("{}").count(), "arguments differ: {text:?}");
        assert_eq!(text.en.split("\n\n").count(), text.zh.split("\n\n").count(), "paragraphs differ: {text:?}");
    }
}

#[test]
fn the_whole_tour_agrees_with_python_in_both_languages() {
    for lang in [Lang::En, Lang::Zh] {
        let text = written(|screen| assert_eq!(Tour { chapters: CHAPTERS, lang }.walk(screen), Verdict::Agrees));
        assert!(text.contains(ALL_AGREE.get(lang)));
        assert!(!text.contains('✗'), "{text}");
        assert!(text.is_ascii() || !text.contains('\x1b'), "colours outside a terminal");
    }
}

const TITLE: Text = Text { en: "a test", zh: "测试" };

const fn chapter(steps: &'static [Step]) -> Chapter {
    Chapter { title: TITLE, source: "// listing: wrong\nfn run_wrong()\n// end of listing", steps, learned: TITLE }
}

const fn step(name: &'static str, run: fn(&Output<'_>) -> Outcome, beside: Beside) -> Step {
    Step { name, title: TITLE, text: TITLE, beside, run }
}

fn prints_two(out: &Output<'_>) -> Outcome {
    out.print(2);
    Ok(())
}

fn verdict(chapters: &'static [Chapter]) -> (Verdict, String) {
    let mut verdict = Verdict::Agrees;
    let text = written(|screen| verdict = Tour { chapters, lang: Lang::En }.walk(screen));
    (verdict, text)
}

#[test]
fn a_difference_from_python_is_shown_and_told() {
    const STORED: Beside = Beside::Python(Twin { listing: "print(1)", prints: Prints::Same("1\n") });
    const WRONG: &[Chapter] = &[chapter(&[step("wrong", prints_two, STORED)])];
    let (verdict, text) = verdict(WRONG);
    assert_eq!(verdict, Verdict::Differs);
    assert!(text.contains("Python prints something else"), "{text}");
    assert!(text.contains("these print something else: wrong"), "{text}");
}

#[test]
fn a_difference_from_what_was_stored_is_shown_and_told() {
    const WRONG: &[Chapter] = &[chapter(&[step("wrong", prints_two, Beside::Stored("1\n"))])];
    let (differs, text) = verdict(WRONG);
    assert_eq!(differs, Verdict::Differs);
    assert!(text.contains("when it was stored it printed something else:\n    1\n"), "{text}");

    const RIGHT: &[Chapter] = &[chapter(&[step("wrong", prints_two, Beside::Stored("2\n"))])];
    let (agrees, text) = verdict(RIGHT);
    assert_eq!(agrees, Verdict::Agrees);
    assert!(text.contains("the same 1 lines as when they were stored"), "{text}");
}

#[test]
fn a_step_that_fails_or_has_no_listing_is_no_success() {
    const ALONE: Beside = Beside::Stored("2\n");
    const FAILS: &[Chapter] = &[chapter(&[step("wrong", |_| Err("no water".into()), ALONE)])];
    let (failed, text) = verdict(FAILS);
    assert_eq!(failed, Verdict::Differs);
    assert!(text.contains("no water"), "{text}");

    const UNLISTED: &[Chapter] = &[chapter(&[step("unlisted", prints_two, ALONE)])];
    let (unlisted, text) = verdict(UNLISTED);
    assert_eq!(unlisted, Verdict::Differs);
    assert!(text.contains("the listing `unlisted` is missing"), "{text}");
}

#[test]
fn every_step_is_listed_and_can_be_shown_alone() {
    let tour = Tour { chapters: CHAPTERS, lang: Lang::En };
    let list = written(|screen| tour.list(screen));
    for (_, step) in steps() {
        assert!(list.contains(step.name), "`{}` is not listed", step.name);
    }
    let one = written(|screen| assert_eq!(tour.walk_step(screen, "jumping_range"), Some(Verdict::Agrees)));
    assert!(one.contains("jumping_range(5)") && !one.contains("bottom()"), "{one}");
    written(|screen| assert_eq!(tour.walk_step(screen, "nothing"), None));
}
