//! A conversation: numbers go in by `send`, the average so far comes out, and `close` asks for the sum of it all.
//! Run it: `cargo run -p kettle --example running_average`

use kettle::{Error, Generator, Step, try_generator};

#[derive(Debug, PartialEq)]
struct Summary {
    count: u32,
    average: f64,
}

/// Yields the average so far; `None` as long as there is nothing to average.
fn running_average() -> impl Generator<Yield = Option<f64>, Send = f64, Return = Summary> {
    try_generator(async |y| {
        let (mut count, mut sum) = (0_u32, 0.0);
        let average = |count, sum| (count > 0).then(|| sum / f64::from(count));
        loop {
            match y.try_yield(average(count, sum)).await {
                Ok(Some(number)) => {
                    count += 1;
                    sum += number;
                }
                // Resumed without a number: say it again.
                Ok(None) => {}
                // Closed, or an error was thrown: end, and give what there is.
                Err(_) => return Ok(Summary { count, average: average(count, sum).unwrap_or(0.0) }),
            }
        }
    })
}

fn main() -> Result<(), Error> {
    let mut average = running_average();

    // It has not started, so no yield waits for a number. The number comes back.
    let refused = average.send(10.0).expect_err("not started");
    assert!(refused.error().is_not_started());
    let first = refused.into_value().expect("handed back");

    // Now it is started: it runs to its first yield.
    assert_eq!(average.resume()?, Step::Yielded(None));
    for (number, expected) in [(first, 10.0), (20.0, 15.0), (60.0, 30.0)] {
        let answer = average.send(number)?;
        assert_eq!(answer, Step::Yielded(Some(expected)));
        println!("{number:>4} -> {expected}");
    }

    let summary = average.close()?;
    assert_eq!(summary, Some(Summary { count: 3, average: 30.0 }));
    println!("closed: {summary:?}");

    // It has ended; closing it again is harmless.
    assert_eq!(average.close()?, None);
    assert!(average.send(1.0).expect_err("finished").error().is_finished());
    Ok(())
}
