//! Owns making scenarios from seeds: well-formed ones that keep the format's limits, and use all of it.
//!
//! The same seed makes the same scenario, on every machine.

use serde_json::{Value as Json, json};

/// A sequence of numbers from a seed (SplitMix64).
struct Random(u64);

impl Random {
    fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.number() % limit as u64) as usize
    }

    /// True in so many cases of a hundred.
    fn percent(&mut self, chance: usize) -> bool {
        self.below(100) < chance
    }

    fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    /// An index, each as likely as its weight.
    fn weighted(&mut self, weights: &[usize]) -> usize {
        let mut at = self.below(weights.iter().sum());
        weights
            .iter()
            .position(|&weight| {
                if at < weight {
                    true
                } else {
                    at -= weight;
                    false
                }
            })
            .expect("below the sum")
    }
}

/// Where a statement stands.
#[derive(Clone, Copy)]
struct Place {
    definition: usize,
    depth: usize,
    in_loop: bool,
    in_handler: bool,
}

struct Maker {
    random: Random,
    definitions: usize,
    /// How many slots bodies and driver use.
    slots: usize,
    /// Whether bodies use slots.
    shared: bool,
    /// Whether `StopIteration` and `GeneratorExit` are raised and thrown by hand.
    special: bool,
    logs: usize,
}

const VARIABLES: [&str; 5] = ["x", "y", "r", "i", "n"];
const CLASSES: [&str; 14] = [
    "E",
    "E",
    "any",
    "all",
    "E0",
    "E1",
    "E2",
    "GeneratorExit",
    "GeneratorExit",
    "StopIteration",
    "RuntimeError",
    "ValueError",
    "AttributeError",
    "LookupError",
];

/// The scenario of a seed, as a line.
pub(crate) fn scenario(seed: u64) -> String {
    let mut random = Random(seed);
    let definitions = 1 + random.below(4);
    let slots = 1 + random.below(3);
    let (shared, special) = (random.percent(35), random.percent(35));
    let mut maker = Maker { random, definitions, slots, shared, special, logs: 0 };
    let place = |definition| Place { definition, depth: 0, in_loop: false, in_handler: false };
    let defs: Vec<Json> = (0..definitions).map(|definition| maker.block(place(definition), 4)).collect();
    let drive = maker.drive();
    json!({ "id": format!("seed-{seed}"), "needs": [], "defs": defs, "drive": drive }).to_string()
}

impl Maker {
    fn block(&mut self, place: Place, most: usize) -> Json {
        let place = Place { depth: place.depth + 1, ..place };
        let count = if self.random.percent(5) { 0 } else { 1 + self.random.below(most) };
        let mut block = Vec::new();
        for _ in 0..count {
            self.statement(place, &mut block);
        }
        // What leaves a block is its last statement.
        if self.random.percent(if place.depth == 1 { 30 } else { 20 }) {
            block.push(self.leave(place));
        }
        Json::Array(block)
    }

    fn statement(&mut self, place: Place, block: &mut Vec<Json>) {
        let inside = Place { in_loop: true, ..place };
        let nests = usize::from(place.depth < 5);
        // yield, log, set, from, try, for, loop, while, if, op, a try that answers an exit
        let weights =
            [34, 8, 6, 18, 20 * nests, 6 * nests, 4 * nests, 4 * nests, 4 * nests, 12 * usize::from(self.shared), 4];
        let statement = match self.random.weighted(&weights) {
            0 => json!(["yield", self.destination(), self.expression(2)]),
            1 => self.log(),
            2 => json!(["set", self.variable(), self.expression(2)]),
            3 => json!(["from", self.destination(), self.source(place)]),
            4 => self.try_(place),
            5 => json!(["for", self.variable(), self.source(place), self.block(inside, 3)]),
            6 => json!(["loop", self.random.below(4), self.block(inside, 3)]),
            7 => {
                // Counts, so that most end.
                block.push(json!(["set", "i", 0]));
                let Json::Array(mut body) = self.block(inside, 3) else { unreachable!("a block is an array") };
                body.insert(0, json!(["set", "i", ["+", ["v", "i"], 1]]));
                json!(["while", ["lt", ["v", "i"], 1 + self.random.below(3)], body])
            }
            8 if self.random.percent(50) => json!(["if", self.condition(), self.block(place, 2)]),
            8 => json!(["if", self.condition(), self.block(place, 2), self.block(place, 2)]),
            9 => self.operation(),
            _ => {
                let answer = if self.random.percent(70) { "return" } else { "yield" };
                let answer = if answer == "return" { json!([answer, 1]) } else { json!([answer, null, 1]) };
                json!(["try", [["yield", "x", self.expression(1)]], [[["GeneratorExit"], null, [answer]]], [], null])
            }
        };
        block.push(statement);
        // Without a trace of what came out, much would pass unseen.
        if self.random.percent(25) {
            block.push(self.log());
        }
    }

    fn leave(&mut self, place: Place) -> Json {
        let weights =
            [3, 6, 5 * usize::from(place.in_handler), 5 * usize::from(place.in_loop), 3 * usize::from(place.in_loop)];
        match self.random.weighted(&weights) {
            0 => json!(["return", self.expression(2)]),
            1 if self.random.percent(50) => json!(["raise", self.kind()]),
            1 => json!(["raise", self.kind(), self.expression(1)]),
            2 => json!(["reraise"]),
            3 => json!(["break"]),
            _ => json!(["continue"]),
        }
    }

    fn try_(&mut self, place: Place) -> Json {
        let body = self.block(place, 3);
        let handling = Place { in_handler: true, ..place };
        let handlers: Vec<Json> = (0..self.random.weighted(&[25, 60, 15]))
            .map(|_| {
                let classes: Vec<_> = (0..1 + self.random.below(2)).map(|_| self.random.pick(&CLASSES)).collect();
                json!([classes, self.destination(), self.block(handling, 3)])
            })
            .collect();
        let orelse = if !handlers.is_empty() && self.random.percent(20) { self.block(place, 2) } else { json!([]) };
        let finally = if handlers.is_empty() || self.random.percent(50) { self.block(place, 3) } else { Json::Null };
        json!(["try", body, handlers, orelse, finally])
    }

    fn operation(&mut self) -> Json {
        let (dst, slot) = (self.destination(), self.slot());
        match self.random.weighted(&[40, 15, 15, 15, 15]) {
            0 => json!(["op", dst, slot, "next"]),
            1 => json!(["op", dst, slot, "send", self.expression(1)]),
            2 => json!(["op", dst, slot, "throw", self.kind(), self.expression(1)]),
            3 => json!(["op", dst, slot, "close"]),
            _ => json!(["op", dst, slot, "state"]),
        }
    }

    fn source(&mut self, place: Place) -> Json {
        match self.random.weighted(&[60, 15, 10, 20 * usize::from(self.shared)]) {
            0 => {
                // Later definitions mostly, so that recursion ends.
                let later = self.definitions - place.definition - 1;
                let d = match later {
                    0 => return json!(["iter", self.values()]),
                    _ if self.random.percent(4) => self.random.below(self.definitions),
                    later => place.definition + 1 + self.random.below(later),
                };
                if self.random.percent(60) { json!(["gen", d]) } else { json!(["gen", d, self.expression(1)]) }
            }
            1 => json!(["iter", self.values()]),
            2 => json!(["range", self.expression(0), self.expression(0)]),
            _ => json!(["obj", self.slot()]),
        }
    }

    fn drive(&mut self) -> Vec<Json> {
        let mut drive = Vec::new();
        for slot in 0..self.slots {
            self.new_generator(slot, &mut drive);
        }
        let mut occupied = vec![true; self.slots];
        for _ in 0..5 + self.random.below(12) {
            let slot = self.random.below(self.slots);
            if !occupied[slot] {
                self.new_generator(slot, &mut drive);
                occupied[slot] = true;
                continue;
            }
            drive.push(match self.random.weighted(&[48, 20, 12, 6, 5, 4, 5]) {
                0 => json!(["next", slot]),
                1 => json!(["send", slot, self.value()]),
                2 if self.random.percent(50) => json!(["throw", slot, self.kind()]),
                2 => json!(["throw", slot, self.kind(), self.value()]),
                3 => json!(["close", slot]),
                4 => json!(["for", slot, 1 + self.random.below(4)]),
                5 => json!(["state", slot]),
                _ => {
                    occupied[slot] = false;
                    json!(["drop", slot])
                }
            });
        }
        drive
    }

    fn new_generator(&mut self, slot: usize, drive: &mut Vec<Json>) {
        // The first definitions delegate most.
        let first = self.random.below(self.definitions);
        let d = first.min(self.random.below(self.definitions));
        drive.push(if self.random.percent(60) {
            json!(["new", slot, d])
        } else {
            json!(["new", slot, d, self.value()])
        });
    }

    fn log(&mut self) -> Json {
        self.logs += 1;
        let message = format!("{}", self.logs);
        if self.random.percent(60) { json!(["log", message, self.expression(2)]) } else { json!(["log", message]) }
    }

    fn kind(&mut self) -> &'static str {
        match self.special && self.random.percent(40) {
            true => self.random.pick(&["StopIteration", "GeneratorExit"]),
            false => self.random.pick(&["E0", "E1", "E2"]),
        }
    }

    /// A slot that the driver uses, or one that nobody fills.
    fn slot(&mut self) -> usize {
        if self.random.percent(5) { 7 } else { self.random.below(self.slots) }
    }

    fn destination(&mut self) -> Json {
        if self.random.percent(40) { Json::Null } else { json!(self.variable()) }
    }

    fn variable(&mut self) -> &'static str {
        self.random.pick(&VARIABLES)
    }

    fn expression(&mut self, depth: usize) -> Json {
        match self.random.weighted(&[45, 40, 5 * depth, 4 * depth, 3 * depth, 3 * depth, 4]) {
            0 => self.scalar(),
            1 => json!(["v", self.variable()]),
            2 => json!(["+", self.expression(depth - 1), self.expression(depth - 1)]),
            3 => json!(["cat", self.expression(depth - 1), self.expression(depth - 1)]),
            4 => json!(["-", self.expression(depth - 1), self.expression(depth - 1)]),
            5 => json!(["*", self.expression(depth - 1), self.expression(depth - 1)]),
            _ => json!(["lit", self.values()]),
        }
    }

    fn condition(&mut self) -> Json {
        match self.random.below(5) {
            0 => json!(["true"]),
            1 => json!(["eq", self.expression(1), self.expression(1)]),
            2 => json!(["lt", self.expression(1), self.expression(1)]),
            3 => json!(["null", self.expression(1)]),
            _ => json!(["not", self.condition()]),
        }
    }

    fn scalar(&mut self) -> Json {
        match self.random.weighted(&[10, 70, 20, 2]) {
            0 => Json::Null,
            1 => json!(self.random.below(7) as i64 - 1),
            2 => json!(self.random.pick(&["", "a", "b c", "水\n\"\\"])),
            _ => json!(self.random.pick(&[i64::MIN, i64::MAX])),
        }
    }

    fn value(&mut self) -> Json {
        if self.random.percent(8) { self.values() } else { self.scalar() }
    }

    fn values(&mut self) -> Json {
        (0..self.random.below(4)).map(|_| self.scalar()).collect()
    }
}
