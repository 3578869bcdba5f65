//! The parameters of a sequence.

/// The most parameters, and the most parts of parameters. What is more is left out.
const MOST: usize = 32;

/// The parameters of a sequence. One that is left out is 0, a part of one that is left out is none.
#[derive(Debug)]
pub struct Params {
    values: [u32; MOST],
    length: usize,
    /// With the index of the parameter that they are parts of.
    parts: Vec<(usize, Option<u32>)>,
    /// Where digits go.
    place: Place,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Value,
    Part,
    Nowhere,
}

/// The largest value.
const MAX: u32 = i32::MAX as u32;

impl Default for Params {
    fn default() -> Self {
        Self {
            values: [0; MOST],
            length: 1,
            parts: Vec::new(),
            place: Place::Value,
        }
    }
}

impl Params {
    /// Forgets them.
    pub fn clear(&mut self) {
        self.values[0] = 0;
        self.length = 1;
        self.parts.clear();
        self.place = Place::Value;
    }

    /// Takes a digit, `;` or `:`.
    pub fn take(&mut self, byte: u8) {
        match byte {
            b';' if self.length < MOST => {
                self.values[self.length] = 0;
                self.length += 1;
                self.place = Place::Value;
            }
            b';' => self.place = Place::Nowhere,
            b':' if self.place == Place::Nowhere || self.parts.len() >= MOST => {
                self.place = Place::Nowhere;
            }
            b':' => {
                self.parts.push((self.length - 1, None));
                self.place = Place::Part;
            }
            _ => {
                let digit = u32::from(byte.wrapping_sub(b'0'));
                let longer = |value: u32| value.saturating_mul(10).saturating_add(digit).min(MAX);
                match self.place {
                    Place::Value => {
                        let value = &mut self.values[self.length - 1];
                        *value = longer(*value);
                    }
                    Place::Part => {
                        if let Some((_, part)) = self.parts.last_mut() {
                            *part = Some(longer(part.unwrap_or(0)));
                        }
                    }
                    Place::Nowhere => {}
                }
            }
        }
    }

    /// How many there are: at least one.
    pub fn len(&self) -> usize {
        self.length
    }

    /// The one at `index`; 0 when there is none.
    pub fn get(&self, index: usize) -> u32 {
        self.values[..self.length].get(index).copied().unwrap_or(0)
    }

    /// The one at `index`; 1 when it is 0 or not there.
    pub fn count(&self, index: usize) -> usize {
        usize::try_from(self.get(index).max(1)).unwrap_or(usize::MAX)
    }

    /// The parts of the one at `index`.
    pub fn parts(&self, index: usize) -> impl Iterator<Item = Option<u32>> + '_ {
        let of = self.parts.iter().filter(move |(owner, _)| *owner == index);
        of.map(|(_, part)| *part)
    }
}
