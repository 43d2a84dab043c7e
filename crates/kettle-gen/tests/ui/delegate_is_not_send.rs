//! E0277: a generator that may change threads delegates only to such as may.
use kettle_gen::{Yielder, generator, local};

fn main() {
    let inner = local::generator(async |y: &mut local::Yielder<u8>| _ = y.yield_(1).await);
    generator(async move |y: &mut Yielder<u8>| y.yield_from(inner).await).count();
}
