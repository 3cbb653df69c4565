package keystore

import (
	"crypto/rand"
	"encoding/hex"
	"testing"
)

// BenchmarkPut keeps 10,000 keys in batches.
func BenchmarkPut(b *testing.B) {
	key := make([]byte, 138)
	_, _ = rand.Read(key)
	for b.Loop() {
		b.StopTimer()
		s := newStore(b)
		var batches [][]Key
		for range 10 {
			var batch []Key
			for range 1000 {
				serial := make([]byte, 16)
				_, _ = rand.Read(serial)
				batch = append(batch, Key{ID{"prod/ca", hex.EncodeToString(serial)}, key})
			}
			batches = append(batches, batch)
		}
		b.StartTimer()
		for _, batch := range batches {
			if err := s.Put(b.Context(), batch); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/10000, "µs/key")
}
