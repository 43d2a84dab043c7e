//! write each line of `select!` as `pattern = arm => what is done`, and `default => …` last: lines of another shape.
use kettle::select;
use kettle::sync::channel;

fn main() {
    let (_sender, receiver) = channel::bounded::<u32>(1);
    select! {
        recv(receiver) -> cup => println!("{cup:?}"),
    }
}
