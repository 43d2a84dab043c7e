//! Generators as iterators: `for`, adapters, the end, and borrowing the rest.

use kettle_gen::{BoxGenerator, Error, Generator, Step, TryYielder, Yielder, boxed, generator, try_generator};
use std::iter::FusedIterator;
use std::pin::pin;

type Test = Result<(), Error>;

fn count(up_to: u32) -> impl FusedIterator<Item = u32> + Generator<Yield = u32, Send = (), Return = ()> + Send {
    generator(async move |y| {
        for n in 0..up_to {
            y.yield_(n).await;
        }
    })
}

#[test]
fn a_for_loop_sees_each_value_in_order() {
    let mut seen = Vec::new();
    for n in count(4) {
        seen.push(n);
    }
    assert_eq!(seen, [0, 1, 2, 3]);
}

#[test]
fn adapters_work_as_on_any_iterator() {
    assert_eq!(count(5).map(|n| n * n).filter(|n| n % 2 == 0).collect::<Vec<_>>(), [0, 4, 16]);
    assert_eq!(count(3).zip(count(9).skip(3)).collect::<Vec<_>>(), [(0, 3), (1, 4), (2, 5)]);
    assert_eq!(count(10).sum::<u32>(), 45);
    assert_eq!(count(10).step_by(4).collect::<Vec<_>>(), [0, 4, 8]);
    assert_eq!(count(3).chain(count(2)).last(), Some(1));
    let mut peekable = count(2).peekable();
    assert_eq!((peekable.peek().copied(), peekable.next()), (Some(0), Some(0)));
}

#[test]
fn an_iterator_is_lazy() {
    let endless = generator(async |y| {
        for n in 0_u64.. {
            y.yield_(n).await;
        }
    });
    assert_eq!(endless.skip_while(|n| *n < 1000).take(2).collect::<Vec<_>>(), [1000, 1001]);
}

#[test]
fn the_end_is_for_good() {
    let ended = |mut iterator: Box<dyn FusedIterator<Item = u32>>| {
        assert_eq!(iterator.by_ref().count(), 2);
        assert!((0..3).all(|_| iterator.next().is_none()));
    };
    ended(Box::new(count(2)));
    ended(Box::new(boxed(count(2))));
    let mut pinned = pin!(generator(async |y| {
        y.yield_(0).await;
        y.yield_(1).await;
    }));
    assert_eq!(pinned.by_ref().count(), 2);
    assert!((0..3).all(|_| pinned.next().is_none()));
}

#[test]
fn iterating_a_closed_generator_gives_nothing() -> Test {
    let mut g = count(3);
    g.resume()?;
    g.close()?;
    assert_eq!(g.count(), 0);
    Ok(())
}

#[test]
fn iter_leaves_the_generator_with_its_rest() -> Test {
    let mut g = generator(async |y: &mut Yielder<u32, u32>| {
        let mut n = 0;
        while n < 10 {
            n += y.yield_(n).await.unwrap_or(1);
        }
        "end"
    });
    assert_eq!(g.iter().take(2).collect::<Vec<_>>(), [0, 1]);
    assert_eq!(g.send(5)?, Step::Yielded(6), "what iterates may also send");
    assert_eq!(g.try_iter().collect::<Result<Vec<_>, _>>()?, [7, 8, 9]);
    assert_eq!(g.iter().count(), 0);
    Ok(())
}

#[test]
fn by_ref_leaves_it_too() {
    let mut g = count(5);
    assert_eq!(g.by_ref().take(2).count(), 2);
    assert_eq!(g.collect::<Vec<_>>(), [2, 3, 4]);
}

#[test]
fn breaking_out_of_a_loop_drops_the_generator_where_it_is() {
    let dropped = std::cell::Cell::new(false);
    struct Flag<'a>(&'a std::cell::Cell<bool>);
    impl Drop for Flag<'_> {
        fn drop(&mut self) {
            self.0.set(true);
        }
    }
    for n in generator(async |y| {
        let _flag = Flag(&dropped);
        y.yield_iter(0..5).await;
    }) {
        if n == 2 {
            break;
        }
    }
    assert!(dropped.get());
}

#[test]
fn boxes_can_be_stored_and_chained() {
    let mut all: Vec<BoxGenerator<'_, u32>> = vec![boxed(count(3)), boxed(count(1)), boxed(count(2))];
    let mut round = Vec::new();
    while !all.is_empty() {
        all.retain_mut(|g| g.next().map(|n| round.push(n)).is_some());
    }
    assert_eq!(round, [0, 0, 0, 1, 1, 2]);
}

#[test]
#[should_panic(expected = "iterate over a generator that raised an error")]
fn a_box_iterated_has_no_room_for_an_error() {
    boxed(try_generator(async |_: &mut TryYielder<u8>| -> Result<(), _> { Err("bad".into()) })).for_each(drop);
}

#[test]
fn size_hint_promises_nothing() {
    assert_eq!(count(3).size_hint(), (0, None));
    assert_eq!(boxed(count(3)).size_hint(), (0, None));
}
