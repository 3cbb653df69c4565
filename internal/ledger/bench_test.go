package ledger

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"testing"
)

// BenchmarkRecord records 10,000 certificates in batches; what one costs must not
// grow with how many there are.
func BenchmarkRecord(b *testing.B) {
	der := make([]byte, 700)
	_, _ = rand.Read(der)
	for b.Loop() {
		b.StopTimer()
		l, err := Create(b.Context(), b.TempDir()+"/ledger.db")
		if err != nil {
			b.Fatal(err)
		}
		var batches [][]Entry
		for n := 0; n < 10000; n += 1000 {
			var batch []Entry
			for i := range 1000 {
				serial := make([]byte, 16)
				_, _ = rand.Read(serial)
				e := entry(fmt.Sprintf("prod/web-%d", n+i), "prod/ca", hex.EncodeToString(serial))
				e.DER, e.Manifest = der, json.RawMessage(`{"spec":{"dnsNames":["a.example.com"],"issuerRef":{"name":"ca"},"secretName":"web"}}`)
				batch = append(batch, e)
			}
			batches = append(batches, batch)
		}
		b.StartTimer()
		for _, batch := range batches {
			if err := l.Record(b.Context(), batch, false); err != nil {
				b.Fatal(err)
			}
		}
		b.StopTimer()
		if err := l.Close(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/10000, "µs/cert")
}
