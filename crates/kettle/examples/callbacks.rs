//! One job, written twice over the same API, which calls back: look a guest up, boil water for so many cups, pour. Each
//! step needs what the one before has given, and each may fail.
//!
//! `cargo run -p kettle --example callbacks`

use kettle::callback;
use std::sync::mpsc::{Sender, channel};
use std::thread;

/// With callbacks: the job goes on inside of each, and each has to pass on what went wrong.
fn serve_by_callbacks(kitchen: &Kitchen, name: &'static str, done: impl FnOnce(Result<String>) + Send + 'static) {
    let kitchen = kitchen.clone();
    kitchen.clone().look_up(name, move |guest| match guest {
        Err(error) => done(Err(error)),
        Ok(guest) => kitchen.clone().boil(guest.cups, move |water| match water {
            Err(error) => done(Err(error)),
            Ok(water) => kitchen.pour(&water, &guest, done),
        }),
    });
}

/// As a coroutine: one step after the other, and `?` for what went wrong.
fn serve(kitchen: &Kitchen, name: &'static str) -> Result<String> {
    let guest = callback(|done| kitchen.look_up(name, done.into_fn()))??;
    let water = callback(|done| kitchen.boil(guest.cups, done.into_fn()))??;
    callback(|done| kitchen.pour(&water, &guest, done.into_fn()))?
}

fn main() {
    let kitchen = Kitchen::open();
    for name in ["Lao Zhang", "the cat", "the choir", "nobody"] {
        let (tell, told) = channel();
        serve_by_callbacks(&kitchen, name, move |tea| _ = tell.send(tea));
        let by_callbacks = told.recv().expect("it calls back");

        let by_coroutine = kettle::run(|| serve(&kitchen, name));

        println!("{name}, please!");
        println!("  by callbacks: {by_callbacks:?}");
        println!("  by coroutine: {by_coroutine:?}");
        assert_eq!(by_callbacks, by_coroutine);
    }
    println!("They are equal.");
}

// What follows is the API: a kitchen with a thread of its own. Its functions return at once, and call back from there.

type Result<T> = std::result::Result<T, Trouble>;

#[derive(Debug, PartialEq)]
enum Trouble {
    Unknown(&'static str),
    DrinksNoTea(&'static str),
    TooManyCups(u32),
    /// The kitchen has dropped an order.
    Dropped,
}

impl From<kettle::Uncalled> for Trouble {
    fn from(_: kettle::Uncalled) -> Self {
        Self::Dropped
    }
}

struct Guest {
    name: &'static str,
    cups: u32,
}

struct Water {
    cups: u32,
}

#[derive(Clone)]
struct Kitchen {
    orders: Sender<Box<dyn FnOnce() + Send>>,
}

impl Kitchen {
    fn open() -> Self {
        let (orders, taken) = channel::<Box<dyn FnOnce() + Send>>();
        thread::spawn(move || taken.into_iter().for_each(|order| order()));
        Self { orders }
    }

    fn look_up(&self, name: &'static str, done: impl FnOnce(Result<Guest>) + Send + 'static) {
        self.order(done, move || match name {
            "Lao Zhang" => Ok(Guest { name, cups: 2 }),
            "the cat" => Ok(Guest { name, cups: 0 }),
            "the choir" => Ok(Guest { name, cups: 40 }),
            _ => Err(Trouble::Unknown(name)),
        });
    }

    fn boil(&self, cups: u32, done: impl FnOnce(Result<Water>) + Send + 'static) {
        self.order(done, move || if cups <= 8 { Ok(Water { cups }) } else { Err(Trouble::TooManyCups(cups)) });
    }

    fn pour(&self, water: &Water, guest: &Guest, done: impl FnOnce(Result<String>) + Send + 'static) {
        let (cups, name) = (water.cups, guest.name);
        self.order(done, move || match cups {
            0 => Err(Trouble::DrinksNoTea(name)),
            _ => Ok(format!("{cups} cups of tea for {name}")),
        });
    }

    fn order<T>(&self, done: impl FnOnce(T) + Send + 'static, work: impl FnOnce() -> T + Send + 'static) {
        self.orders.send(Box::new(move || done(work()))).expect("the kitchen is open as long as somebody orders");
    }
}
