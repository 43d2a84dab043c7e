//! Async generators: bodies that await other futures, polled as a `Stream` (PEP 525).
#![cfg(feature = "stream")]

use futures::channel::{mpsc, oneshot};
use futures::executor::block_on;
use futures::future::{Either, join, select};
use futures::stream::{FusedStream, FuturesUnordered, Stream, StreamExt, select_all};
use kettle_gen::{Error, Generator, State, TryYielder, Yielder, boxed, generator, try_generator};
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::task::{Context, Poll, Wake, Waker};

/// A waker that counts.
#[derive(Default)]
struct Count(AtomicU32);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Relaxed);
    }
}

fn poll_next<S: Stream>(stream: &mut Pin<&mut S>, waker: &Waker) -> Poll<Option<S::Item>> {
    stream.as_mut().poll_next(&mut Context::from_waker(waker))
}

/// A generator as a stream and nothing else: the adapters of streams and of iterators have the same names.
fn as_stream<S: Stream>(stream: S) -> impl Stream<Item = S::Item> {
    stream
}

/// Gives what it is sent over a channel, doubled.
fn doubled(mut receiver: mpsc::UnboundedReceiver<u32>) -> impl FusedStream<Item = u32> + Send {
    generator(async move |y| {
        while let Some(n) = receiver.next().await {
            y.yield_(2 * n).await;
        }
    })
}

#[test]
fn values_are_items_and_waiting_is_pending() {
    let count = Arc::new(Count::default());
    let waker = Waker::from(Arc::clone(&count));
    let (sender, receiver) = mpsc::unbounded();
    let mut stream = pin!(doubled(receiver));
    assert_eq!(poll_next(&mut stream, &waker), Poll::Pending);
    assert_eq!(count.0.load(Relaxed), 0);
    sender.unbounded_send(4).expect("open");
    assert_eq!(count.0.load(Relaxed), 1, "the future that the body awaits wakes whoever polls the stream");
    assert_eq!(poll_next(&mut stream, &waker), Poll::Ready(Some(8)));
    assert_eq!(poll_next(&mut stream, &waker), Poll::Pending);
    drop(sender);
    assert_eq!(count.0.load(Relaxed), 2);
    assert_eq!(poll_next(&mut stream, &waker), Poll::Ready(None));
    assert!(stream.is_terminated());
    assert_eq!(poll_next(&mut stream, &waker), Poll::Ready(None), "the end is for good");
}

#[test]
fn a_stream_wakes_the_one_who_polled_last() {
    let (first, second) = (Arc::new(Count::default()), Arc::new(Count::default()));
    let (sender, receiver) = mpsc::unbounded();
    let mut stream = pin!(doubled(receiver));
    assert!(poll_next(&mut stream, &Waker::from(Arc::clone(&first))).is_pending());
    assert!(poll_next(&mut stream, &Waker::from(Arc::clone(&second))).is_pending());
    sender.unbounded_send(1).expect("open");
    assert_eq!((first.0.load(Relaxed), second.0.load(Relaxed)), (0, 1));
}

#[test]
fn an_executor_runs_it_with_wake_ups_from_another_thread() {
    let (sender, receiver) = mpsc::unbounded();
    let sends = std::thread::spawn(move || (0..100).try_for_each(|n| sender.unbounded_send(n)));
    let all: Vec<u32> = block_on(doubled(receiver).collect());
    assert_eq!(all, (0..100).map(|n| 2 * n).collect::<Vec<_>>());
    assert!(sends.join().expect("no panic").is_ok());
}

#[test]
fn it_may_change_threads_while_it_waits() {
    let (sender, receiver) = mpsc::unbounded();
    let mut stream = Box::pin(doubled(receiver));
    assert!(poll_next(&mut stream.as_mut(), Waker::noop()).is_pending());
    let sums = std::thread::spawn(move || block_on(stream.fold(0, async |sum, n| sum + n)));
    for n in 1..=10 {
        sender.unbounded_send(n).expect("open");
    }
    drop(sender);
    assert_eq!(sums.join().ok(), Some(110));
}

#[test]
fn wakers_of_the_body_are_those_of_whoever_polls_and_outlive_it() {
    let count = Arc::new(Count::default());
    let waker = Waker::from(Arc::clone(&count));
    let mut kept = None;
    {
        let mut stream = pin!(generator(async |y: &mut Yielder<u32>| {
            poll_fn(|context| {
                context.waker().wake_by_ref();
                kept = Some(context.waker().clone());
                Poll::Ready(())
            })
            .await;
            y.yield_(1).await;
        }));
        assert_eq!(poll_next(&mut stream, &waker), Poll::Ready(Some(1)));
    }
    let kept = kept.expect("it was kept");
    assert!(kept.will_wake(&waker));
    assert_eq!(count.0.load(Relaxed), 1);
    kept.wake_by_ref();
    kept.wake();
    assert_eq!(count.0.load(Relaxed), 3);
    assert_eq!(Arc::strong_count(&count), 2, "every clone is gone");
}

#[test]
fn futures_with_wakers_of_their_own_work_in_a_body() {
    let stream = generator(async |y: &mut Yielder<u32>| {
        let mut all: FuturesUnordered<_> = (0..10).map(|n| async move { n }).collect();
        while let Some(n) = all.next().await {
            y.yield_(n).await;
        }
    });
    let mut items: Vec<u32> = block_on(as_stream(stream).collect());
    items.sort();
    assert_eq!(items, (0..10).collect::<Vec<_>>());
}

#[test]
fn streams_nest_and_each_yield_finds_its_own() {
    let stream = generator(async |y: &mut Yielder<String>| {
        let (sender, receiver) = mpsc::unbounded();
        let mut inner = pin!(doubled(receiver));
        for n in 0..3 {
            sender.unbounded_send(n).expect("open");
            let item = inner.next().await;
            y.yield_(format!("{item:?}")).await;
        }
    });
    assert_eq!(block_on(as_stream(stream).collect::<Vec<_>>()), ["Some(0)", "Some(2)", "Some(4)"]);
}

#[test]
fn a_delegate_may_wait() {
    let (sender, mut receiver) = mpsc::unbounded();
    let count = Arc::new(Count::default());
    let waker = Waker::from(Arc::clone(&count));
    let mut stream = pin!(generator(async move |y| {
        let inner = generator(async move |y: &mut Yielder<u32>| {
            while let Some(n) = receiver.next().await {
                y.yield_(n).await;
            }
            "end"
        });
        assert_eq!(y.yield_from(boxed(inner)).await, "end");
    }));
    assert!(poll_next(&mut stream, &waker).is_pending());
    sender.unbounded_send(5).expect("open");
    assert_eq!(count.0.load(Relaxed), 1);
    assert_eq!(poll_next(&mut stream, &waker), Poll::Ready(Some(5)));
    drop(sender);
    assert_eq!(poll_next(&mut stream, &waker), Poll::Ready(None));
}

#[test]
fn an_error_is_the_last_item() {
    let stream = try_generator(async |y: &mut TryYielder<u32>| {
        y.yield_(1).await;
        async { Err::<(), _>("bad") }.await?;
        Ok(())
    });
    let items: Vec<_> = block_on(as_stream(stream).map(|item| item.map_err(|error| error.to_string())).collect());
    assert_eq!(items, [Ok(1), Err("bad".into())]);
}

#[test]
fn dropping_a_stream_drops_the_body_where_it_waits() {
    let (sender, receiver) = mpsc::unbounded::<u32>();
    let mut stream = Box::pin(doubled(receiver));
    assert!(poll_next(&mut stream.as_mut(), Waker::noop()).is_pending());
    drop(stream);
    assert!(sender.is_closed(), "the receiver that the body holds is gone");
}

#[test]
fn the_words_of_a_generator_say_that_it_waits() -> Result<(), Error> {
    let (sender, receiver) = oneshot::channel::<u32>();
    let mut g = generator(async move |y: &mut Yielder<u32>| {
        let n = receiver.await.unwrap_or_default();
        y.yield_(n).await;
    });
    assert!(g.resume().is_err_and(|error| error.is_waiting()));
    assert_eq!(g.state(), State::Suspended);
    sender.send(6).expect("it is awaited");
    assert_eq!(g.resume()?.yielded(), Some(6));
    let mut pinned = pin!(g);
    assert_eq!(poll_next(&mut pinned, Waker::noop()), Poll::Ready(None), "what was resumed may be polled");
    Ok(())
}

#[test]
fn a_value_may_be_awaited_together_with_a_future() {
    let (sender, receiver) = oneshot::channel::<u32>();
    let mut stream = pin!(generator(async move |y: &mut Yielder<u32>| {
        let (_resumed, sent) = join(y.yield_(1), receiver).await;
        y.yield_(sent.unwrap_or_default()).await;
    }));
    assert_eq!(poll_next(&mut stream, Waker::noop()), Poll::Ready(Some(1)));
    assert_eq!(poll_next(&mut stream, Waker::noop()), Poll::Pending, "it was resumed, and the future is not ready");
    sender.send(2).expect("it is awaited");
    assert_eq!(poll_next(&mut stream, Waker::noop()), Poll::Ready(Some(2)));
    assert_eq!(poll_next(&mut stream, Waker::noop()), Poll::Ready(None));
}

#[test]
fn a_body_may_wait_for_the_first_of_several() {
    let (fast, receiver) = oneshot::channel::<u32>();
    let (_never, other) = oneshot::channel::<u32>();
    let stream = generator(async move |y: &mut Yielder<&str>| {
        let winner = match select(receiver, other).await {
            Either::Left(_) => "fast",
            Either::Right(_) => "never",
        };
        y.yield_(winner).await;
    });
    fast.send(1).expect("it is awaited");
    assert_eq!(block_on(as_stream(stream).collect::<Vec<_>>()), ["fast"]);
}

#[test]
fn many_streams_run_side_by_side() {
    let streams = (0..10).map(|n| {
        Box::pin(generator(async move |y: &mut Yielder<u32>| {
            for _ in 0..n {
                let mut waited = false;
                poll_fn(|context| {
                    context.waker().wake_by_ref();
                    if std::mem::replace(&mut waited, true) { Poll::Ready(()) } else { Poll::Pending }
                })
                .await;
                y.yield_(1).await;
            }
        }))
    });
    let sum = block_on(select_all(streams).fold(0, async |sum, n| sum + n));
    assert_eq!(sum, 45);
}
