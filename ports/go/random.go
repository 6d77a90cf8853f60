// Random numbers: Philox4x32-10 for training, MT19937 for initial weights.

package main

import "math/bits"

// The last word of a counter: the purpose of the words.
const (
	forDropout uint32 = 0
	forShuffle uint32 = 1
)

// philoxStream is a stream of words, counted from 0; four follow from one counter, so a block of
// four is kept.
type philoxStream struct {
	seed                 uint64
	time, layer, purpose uint32
	block                int // word / 4 of the words that are kept, or -1
	words                [4]uint32
}

func openStream(seed uint64, time, layer int, purpose uint32) philoxStream {
	return philoxStream{
		seed: seed, time: uint32(time), layer: uint32(layer), purpose: purpose, block: -1,
	}
}

// philox makes words of a counter, in ten rounds of multiplication; J. K. Salmon and others, SC
// 2011.
func philox(c [4]uint32, key uint64) [4]uint32 {
	k0, k1 := uint32(key), uint32(key>>32)
	for round := 0; round < 10; round++ {
		high0, low0 := bits.Mul32(c[0], 0xD2511F53)
		high2, low2 := bits.Mul32(c[2], 0xCD9E8D57)
		c = [4]uint32{high2 ^ c[1] ^ k0, low2, high0 ^ c[3] ^ k1, low0}
		k0 += 0x9E3779B9
		k1 += 0xBB67AE85
	}
	return c
}

func (s *philoxStream) word(index int) uint32 {
	if block := index / 4; s.block != block {
		s.block = block
		s.words = philox([4]uint32{uint32(block), s.time, s.layer, s.purpose}, s.seed)
	}
	return s.words[index%4]
}

// shuffle puts the samples into the order of an epoch, from the end.
func shuffle(order []int, seed uint64, epoch int) {
	stream := openStream(seed, epoch, 0, forShuffle)
	for i := range order {
		order[i] = i
	}
	for i := len(order) - 1; i > 0; i-- {
		j := uint64(stream.word(i)) * uint64(i+1) >> 32
		order[i], order[j] = order[j], order[i]
	}
}

// The Mersenne Twister; M. Matsumoto, T. Nishimura, ACM TOMACS 8(1), 1998.
const (
	mtWords  = 624
	mtMiddle = 397
)

type mt19937 struct {
	x    [mtWords]uint32
	next int
}

func openMT19937(seed uint32) *mt19937 {
	g := &mt19937{next: mtWords}
	g.x[0] = seed
	for i := uint32(1); i < mtWords; i++ {
		g.x[i] = 1812433253*(g.x[i-1]^g.x[i-1]>>30) + i
	}
	return g
}

func (g *mt19937) twist() {
	for i := range g.x {
		y := g.x[i]&0x80000000 | g.x[(i+1)%mtWords]&0x7fffffff
		g.x[i] = g.x[(i+mtMiddle)%mtWords] ^ y>>1 ^ y&1*0x9908b0df
	}
	g.next = 0
}

func (g *mt19937) word() uint32 {
	if g.next == mtWords {
		g.twist()
	}
	y := g.x[g.next]
	g.next++
	y ^= y >> 11
	y ^= y << 7 & 0x9d2c5680
	y ^= y << 15 & 0xefc60000
	return y ^ y>>18
}

// number is in [0, 1), with 53 bits of two words.
func (g *mt19937) number() float64 {
	a, b := g.word()>>5, g.word()>>6
	return (float64(a)*(1<<26) + float64(b)) / (1 << 53)
}
