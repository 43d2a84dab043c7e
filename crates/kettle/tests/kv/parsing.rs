//! The protocol: what is a command however it comes in pieces, what is refused, how answers are written.

use crate::input::Input;
use crate::random::Random;
use crate::resp::{Malformed, Output, Parser, Protocol, write_command};

type Command = Vec<Vec<u8>>;

/// Has a parser see the input in pieces that end at these places, and gives the commands.
fn parse(input: &[u8], cuts: impl Iterator<Item = usize>) -> Result<Vec<Command>, Malformed> {
    let mut parser = Parser::default();
    let (mut commands, mut used) = (Vec::new(), 0);
    for cut in cuts.chain([input.len()]) {
        while let Some(len) = parser.parse(&input[used..cut])? {
            commands.push(parser.words(&input[used..cut]).iter().map(<[u8]>::to_vec).collect());
            used += len;
        }
    }
    Ok(commands)
}

fn command(words: &[&[u8]]) -> Command {
    words.iter().map(|word| word.to_vec()).collect()
}

const PIPELINE: &[u8] =
    b"*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$6\r\na\r\nb$1\r\n*0\r\nPING 'two words' \"\" x\r\n\r\n*1\r\n$0\r\n\r\nGET a\n";

fn pipeline() -> Vec<Command> {
    let commands: [&[&[u8]]; 6] =
        [&[b"SET", b"key", b"a\r\nb$1"], &[], &[b"PING", b"two words", b"", b"x"], &[], &[b""], &[b"GET", b"a"]];
    commands.map(command).into()
}

#[test]
fn commands_are_the_same_wherever_they_are_cut() {
    assert_eq!(parse(PIPELINE, 0..0).unwrap(), pipeline());
    assert_eq!(parse(PIPELINE, 0..PIPELINE.len()).unwrap(), pipeline(), "byte by byte");
    for cut in 0..PIPELINE.len() {
        assert_eq!(parse(PIPELINE, std::iter::once(cut)).unwrap(), pipeline(), "cut at {cut}");
    }
}

#[test]
fn a_command_that_is_written_is_read_as_it_was() {
    for len in [0, 1, 9, 10, 99, 100, 4095, 100_000] {
        let words = [vec![b'\r'; len], b"$".to_vec(), vec![0; len]];
        let mut written = Vec::new();
        write_command(&mut written, 3, words.iter().map(|word| &word[..]));
        assert_eq!(parse(&written, 0..0).unwrap(), [words.to_vec()]);
    }
}

#[test]
fn what_is_no_command_is_refused_at_once() {
    let long_line = vec![b'x'; 64 * 1024];
    let refused: [(&[u8], Malformed); 20] = [
        (b"*x", Malformed::WordCount),
        (b"*\r", Malformed::WordCount),
        (b"*-1\r\n", Malformed::WordCount),
        (b"*1\rx", Malformed::WordCount),
        (b"*1048577\r\n", Malformed::WordCount),
        (b"*99999999999999", Malformed::WordCount),
        (b"*1\r\nx", Malformed::NoWord(b'x')),
        (b"*1\r\n\r\n", Malformed::NoWord(b'\r')),
        (b"*2\r\n$1\r\na\r\n:1\r\n", Malformed::NoWord(b':')),
        (b"*1\r\n$x", Malformed::WordLength),
        (b"*1\r\n$-1\r\n", Malformed::WordLength),
        (b"*1\r\n$\r\n", Malformed::WordLength),
        // Before any of it has come.
        (b"*1\r\n$536870913\r\n", Malformed::WordLength),
        (b"*1\r\n$18446744073709551616\r\n", Malformed::WordLength),
        (b"*1\r\n$00000000000001\r\na\r\n", Malformed::WordLength),
        (b"*1\r\n$1\r\nabc", Malformed::WordEnd),
        (b"*1\r\n$1\r\na\n\r", Malformed::WordEnd),
        (b"PING 'tea\r\n", Malformed::OpenQuote),
        (b"PING 'tea'pot\n", Malformed::OpenQuote),
        (&long_line, Malformed::LongLine),
    ];
    for (input, malformed) in refused {
        assert_eq!(parse(input, 0..0), Err(malformed), "{}", input[..input.len().min(40)].escape_ascii());
    }
    assert_eq!(Malformed::NoWord(b'\n').to_string(), "Protocol error: expected '$', got '\\n'");
}

#[test]
fn what_is_allowed_at_the_limits_is_waited_for() {
    for input in [&b"*1048576\r\n"[..], b"*1\r\n$536870912\r\n", b"*1\r\n$0\r\n\r", &vec![b'x'; 64 * 1024 - 1]] {
        assert_eq!(parse(input, 0..0).unwrap(), [] as [Command; 0]);
    }
}

#[test]
fn bytes_at_random_are_commands_or_refused_and_the_cuts_do_not_matter() {
    const SYMBOLS: &[u8] = b"**$$\r\n\r\n\r\n0011239-'\" x\xff";
    for seed in 0..20_000 {
        let mut random = Random::new(seed);
        let input: Vec<u8> = (0..random.below(40)).map(|_| *random.one_of(SYMBOLS)).collect();
        let whole = parse(&input, 0..0);
        assert_eq!(parse(&input, 0..input.len()), whole, "seed {seed}: {}", input.escape_ascii());
    }
}

#[test]
fn answers_have_the_form_of_the_version_that_was_asked_for() {
    let written = |protocol| {
        let mut out = Output { bytes: Vec::new(), protocol };
        out.simple("OK");
        out.error("ERR tea");
        [0, -1, 10, i64::MAX, i64::MIN].into_iter().for_each(|number| out.integer(number));
        out.bulk(b"a\r\nb");
        out.null();
        out.array(2);
        out.map(2);
        out.push(3);
        String::from_utf8(out.bytes).unwrap()
    };
    let both =
        "+OK\r\n-ERR tea\r\n:0\r\n:-1\r\n:10\r\n:9223372036854775807\r\n:-9223372036854775808\r\n$4\r\na\r\nb\r\n";
    assert_eq!(written(Protocol::Resp2), format!("{both}$-1\r\n*2\r\n*4\r\n*3\r\n"));
    assert_eq!(written(Protocol::Resp3), format!("{both}_\r\n*2\r\n%2\r\n>3\r\n"));
}

/// The byte that comes at this place.
fn byte_at(place: usize) -> u8 {
    (place ^ place >> 8) as u8
}

/// However it is read and dealt with: nothing is lost, there is always room, and not much more than there is need of.
#[test]
fn what_is_read_lies_in_one_piece_until_it_is_dealt_with() {
    for seed in 0..20 {
        let mut random = Random::new(seed);
        let mut input = Input::default();
        let (mut come, mut gone, mut most) = (0_usize, 0_usize, 0);
        for _ in 0..60 {
            let room = input.room();
            assert!(!room.is_empty(), "seed {seed}");
            let len = if random.below(2) == 0 { room.len() } else { 1 + random.below(room.len()) };
            room[..len].iter_mut().for_each(|byte| {
                *byte = byte_at(come);
                come += 1;
            });
            assert_eq!(input.add(len), len);
            let kept = come - gone;
            most = most.max(kept);
            assert!(input.bytes().iter().copied().eq((gone..come).map(byte_at)), "seed {seed}");
            let done = if random.below(3) == 0 { kept } else { random.below(kept + 1) };
            input.remove(done);
            gone += done;
            assert!(input.room().len() <= (4 * most).max(64 * 1024), "seed {seed}");
        }
    }
}
