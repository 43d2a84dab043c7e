//! accepted: the words that the programs beside this one use wrongly, used rightly.
use kettle_gen::{TryYielder, Yielder, boxed, generator, local, try_generator};
use std::pin::pin;
use std::rc::Rc;

fn main() {
    let text = String::from("borrowed");
    let inner = generator(async |y: &mut Yielder<&str>| _ = y.yield_(&text).await);
    let g = boxed(generator(async move |y| y.yield_from(inner).await));
    std::thread::scope(|scope| {
        scope.spawn(move || g.count());
    });
    let rc = Rc::new(1);
    let stays = local::boxed(local::generator(async move |y: &mut local::Yielder<u8>| _ = y.yield_(*rc).await));
    let pinned = pin!(local::generator(async move |y| y.yield_from(stays).await));
    drop(pinned.count());
    drop(try_generator(async |y: &mut TryYielder<u8>| Ok(y.try_yield(1).await?)));
}
