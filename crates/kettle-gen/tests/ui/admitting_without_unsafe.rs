//! E0200: who admits a delegate to generators that change threads answers for it.
use kettle_gen::{Admits, Anywhere};

trait Local {}

/// The compiler knows that it may not be sent, so no other impl is in the way.
struct Mine(&'static dyn Local);

impl Admits<Mine> for Anywhere {}

fn main() {}
