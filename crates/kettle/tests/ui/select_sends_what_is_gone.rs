//! E0597: an arm that sends from a place that goes before it.
use kettle::sync::{channel, select};

fn main() {
    let (sender, _receiver) = channel::bounded(1);
    let mut select = select::Select::new();
    let mut arm;
    {
        let mut value = Some(1);
        arm = select::send(&sender, &mut value);
    }
    select.add(&mut arm);
    select.wait();
}
