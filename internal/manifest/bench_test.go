package manifest

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
)

const many = `---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata:
  name: service-%[1]d
  namespace: team-%[2]d
  labels:
    app.kubernetes.io/name: service-%[1]d
spec:
  secretName: service-%[1]d-tls
  duration: 2160h
  renewBefore: 360h
  commonName: service-%[1]d.example.com
  privateKey:
    algorithm: ECDSA
    size: 256
  usages:
    - server auth
    - client auth
  dnsNames:
    - service-%[1]d.example.com
    - service-%[1]d.team-%[2]d.svc
  issuerRef:
    name: ca-issuer
    kind: ClusterIssuer
    group: cert-manager.io
`

// certificates is a stream of n Certificates that is never whole in memory.
func certificates(n int) io.Reader {
	r, w := io.Pipe()
	go func() {
		for i := range n {
			if _, err := fmt.Fprintf(w, many, i, i%100); err != nil {
				return
			}
		}
		_ = w.Close()
	}()
	return r
}

func BenchmarkRead(b *testing.B) {
	const n = 10_000
	var text strings.Builder
	for i := range n {
		fmt.Fprintf(&text, many, i, i%100)
	}
	b.SetBytes(int64(text.Len()))
	b.ReportAllocs()
	for b.Loop() {
		sources, err := Sources([]string{"-"}, false, strings.NewReader(text.String()))
		if err != nil {
			b.Fatal(err)
		}
		set, err := Read(context.Background(), sources, Options{})
		if err != nil || len(set.Certificates) != n {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/n, "µs/certificate")
}

// A hundred thousand Certificates stay within what a laptop does not notice: the
// Set keeps what is asked for, and neither the text nor the nodes.
func TestReadMemory(t *testing.T) {
	const n = 10_000
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	sources, err := Sources([]string{"-"}, false, certificates(n))
	if err != nil {
		t.Fatal(err)
	}
	set, err := Read(t.Context(), sources, Options{})
	if err != nil {
		t.Fatal(err)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if len(set.Certificates) != n {
		t.Fatalf("read %d Certificates, want %d", len(set.Certificates), n)
	}
	if live := (int64(after.HeapAlloc) - int64(before.HeapAlloc)) / n; live > 1000 {
		t.Errorf("a Certificate takes %d bytes, want 1000 at most", live)
	}
}
