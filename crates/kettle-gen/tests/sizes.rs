//! How large things are: what a generator adds to the state machine that the compiler makes.
//!
//! Bounds, not promises: a test that fails here says that something has grown.

use kettle_gen::{BoxGenerator, Error, SendError, State, Step, Yield, YieldFrom, Yielder, boxed, generator};
use std::mem::{size_of, size_of_val};

const WORD: usize = size_of::<usize>();

#[test]
fn a_generator_is_its_state_machine_and_a_few_words() {
    let small = generator(async |y: &mut Yielder<u8>| {
        y.yield_(1).await;
    });
    let large = generator(async |y: &mut Yielder<u8>| {
        let kept = [1_u8; 1000];
        y.yield_(1).await;
        y.yield_(kept[999]).await;
    });
    assert!(size_of_val(&small) <= 20 * WORD, "{}", size_of_val(&small));
    assert!(size_of_val(&large) <= size_of_val(&small) + 1000 + 2 * WORD, "{}", size_of_val(&large));
}

#[test]
fn a_box_is_a_pointer_to_any_generator() {
    assert_eq!(size_of::<BoxGenerator<'_, u8>>(), WORD);
    assert_eq!(size_of::<Option<BoxGenerator<'_, u8>>>(), WORD);
    let g = boxed(generator(async |y: &mut Yielder<[u8; 100]>| {
        y.yield_([0; 100]).await;
    }));
    assert_eq!(size_of_val(&g), WORD);
}

#[test]
fn futures_of_yields_are_a_reference_and_the_value() {
    assert!(size_of::<Yield<'_, '_, u64, (), ()>>() <= size_of::<Option<u64>>() + 2 * WORD);
    assert!(size_of::<YieldFrom<'_, '_, u64, (), (), ()>>() <= 5 * WORD);
}

#[test]
fn errors_are_small() {
    assert!(size_of::<Error>() <= 3 * WORD);
    assert_eq!(size_of::<Result<(), Error>>(), size_of::<Error>(), "the kinds leave room for `Ok`");
    assert!(size_of::<SendError<()>>() <= 4 * WORD);
    assert_eq!(size_of::<State>(), 1);
    assert!(size_of::<Step<u8, ()>>() <= 2);
}
