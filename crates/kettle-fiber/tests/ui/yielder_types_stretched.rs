//! lifetime may not live long enough: a yielder of short borrows used as one of long ones, and the reverse.
use kettle_fiber::Yielder;

fn longer<'a, 'b>(y: &'b mut Yielder<&'a str>) -> &'b mut Yielder<&'static str> {
    y
}

fn shorter<'a, 'b>(y: &'b mut Yielder<&'static str>) -> &'b mut Yielder<&'a str> {
    y
}

fn main() {
    let _ = (longer, shorter);
}
