//! Random numbers: Philox4x32-10 for training, MT19937 for initial weights.

/// The last word of a counter: the purpose of the words.
#[derive(Clone, Copy)]
pub enum Purpose {
    Dropout = 0,
    Shuffle = 1,
}

/// A stream of 32-bit words, counted from 0. Four follow from one counter, so a block of four
/// is kept, with its number.
pub struct Stream {
    seed: u64,
    time: u32,
    layer: u32,
    purpose: Purpose,
    block: Option<(u32, [u32; 4])>,
}

impl Stream {
    pub fn new(seed: u64, time: u64, layer: usize, purpose: Purpose) -> Self {
        Stream {
            seed,
            time: time as u32,
            layer: layer as u32,
            purpose,
            block: None,
        }
    }

    pub fn word(&mut self, index: usize) -> u32 {
        let wanted = (index / 4) as u32;
        match self.block {
            Some((block, words)) if block == wanted => words[index % 4],
            _ => {
                let words = philox(
                    [wanted, self.time, self.layer, self.purpose as u32],
                    self.seed,
                );
                self.block = Some((wanted, words));
                words[index % 4]
            }
        }
    }
}

/// Ten rounds of multiplication; J. K. Salmon and others, SC 2011.
fn philox(mut c: [u32; 4], key: u64) -> [u32; 4] {
    let (mut k0, mut k1) = (key as u32, (key >> 32) as u32);
    for _ in 0..10 {
        let (a, b) = (u64::from(c[0]) * 0xD2511F53, u64::from(c[2]) * 0xCD9E8D57);
        c = [
            (b >> 32) as u32 ^ c[1] ^ k0,
            b as u32,
            (a >> 32) as u32 ^ c[3] ^ k1,
            a as u32,
        ];
        k0 = k0.wrapping_add(0x9E3779B9);
        k1 = k1.wrapping_add(0xBB67AE85);
    }
    c
}

/// The order of the samples in an epoch, shuffled from the end.
pub fn shuffle(order: &mut [usize], seed: u64, epoch: u64) {
    let mut stream = Stream::new(seed, epoch, 0, Purpose::Shuffle);
    for (i, place) in order.iter_mut().enumerate() {
        *place = i;
    }
    for i in (1..order.len()).rev() {
        let j = (u64::from(stream.word(i)) * (i as u64 + 1)) >> 32;
        order.swap(i, j as usize);
    }
}

const WORDS: usize = 624;
const MIDDLE: usize = 397;

/// The Mersenne Twister; M. Matsumoto, T. Nishimura, ACM TOMACS 8(1), 1998.
pub struct Mt19937 {
    x: [u32; WORDS],
    next: usize,
}

impl Mt19937 {
    pub fn new(seed: u32) -> Self {
        let mut x = [seed; WORDS];
        for i in 1..WORDS {
            let mixed = x[i - 1] ^ (x[i - 1] >> 30);
            x[i] = mixed.wrapping_mul(1812433253).wrapping_add(i as u32);
        }
        Mt19937 { x, next: WORDS }
    }

    fn twist(&mut self) {
        let x = &mut self.x;
        for i in 0..WORDS {
            let y = (x[i] & 0x8000_0000) | (x[(i + 1) % WORDS] & 0x7fff_ffff);
            let odd = if y & 1 == 1 { 0x9908_b0df } else { 0 };
            x[i] = x[(i + MIDDLE) % WORDS] ^ (y >> 1) ^ odd;
        }
        self.next = 0;
    }

    fn word(&mut self) -> u32 {
        if self.next == WORDS {
            self.twist();
        }
        let mut y = self.x[self.next];
        self.next += 1;
        y ^= y >> 11;
        y ^= (y << 7) & 0x9d2c_5680;
        y ^= (y << 15) & 0xefc6_0000;
        y ^ (y >> 18)
    }

    /// In [0, 1), with 53 bits of two words.
    pub fn number(&mut self) -> f64 {
        let (a, b) = (self.word() >> 5, self.word() >> 6);
        (f64::from(a) * 67108864.0 + f64::from(b)) / 9007199254740992.0
    }
}
