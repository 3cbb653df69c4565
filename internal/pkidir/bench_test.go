package pkidir

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/mtlsctl/mtlsctl/internal/ledger"
	"github.com/mtlsctl/mtlsctl/pki"
	"github.com/mtlsctl/mtlsctl/profiles"
)

const benchOrders = 10000

// BenchmarkIssueAll issues certificates by the thousand, beside what their keys
// and signatures cost alone, and reads back what there is.
func BenchmarkIssueAll(b *testing.B) {
	path := emptyPath(b)
	d := open(b, path)
	mustIssueAll(b, d, exactCA(b, "a/ca", ""))
	a, err := d.Authority("a/ca", noPassphrase)
	must(b, err)
	per := func(b *testing.B) {
		b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/benchOrders, "µs/cert")
	}
	b.Run("bare", func(b *testing.B) {
		for b.Loop() {
			must(b, onAllCores(b.Context(), benchOrders, func(i int) error {
				draft, err := a.PrepareExact(*exactOrder(b, fmt.Sprintf("b/%d", i), "a/ca").Exact)
				if err != nil {
					return err
				}
				key, err := pki.GenerateKey(profiles.ECP256)
				if err != nil {
					return err
				}
				_, err = a.Sign(draft, key.Public())
				return err
			}))
		}
		per(b)
	})
	round := 0
	b.Run("issued", func(b *testing.B) {
		for b.Loop() {
			round++
			n := 0
			must(b, d.IssueAll(b.Context(), func(yield func(Order) bool) {
				for i := 0; i < benchOrders && yield(exactOrder(b, fmt.Sprintf("r%d/%d", round, i), "a/ca")); i++ {
				}
			}, IssueAllOptions{Passphrase: noPassphrase}, func(issued []Issued) error { n += len(issued); return nil }))
			if n != benchOrders {
				b.Fatalf("%d came", n)
			}
		}
		per(b)
	})
	b.Run("read back", func(b *testing.B) {
		for b.Loop() {
			must(b, d.Manifests(b.Context(), func(*ledger.Entry, json.RawMessage, bool) error { return nil }))
		}
		b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/float64(round*benchOrders), "µs/cert")
	})
	b.Run("bundles", func(b *testing.B) {
		for b.Loop() {
			for i := range benchOrders {
				_, err := d.Bundle(fmt.Sprintf("r1/%d", i), noPassphrase)
				must(b, err)
			}
		}
		per(b)
	})
}
