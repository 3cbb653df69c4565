package plan

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"

	"github.com/mtlsctl/mtlsctl/internal/manifest"
)

func TestOrder(t *testing.T) {
	t.Parallel()
	p := mustMake(t, inputOf(
		certificate("tls/leaf1", ref("", "sub")),
		request("tls/request", nil, issuedBy("", "sub")),
		certificate("tls/sub", isCA, ref("", "root")),
		certificate("tls/leaf2", ref("", "root")),
		certificate("tls/self"),
		certificate("tls/root", isCA),
		caIssuer("tls/sub", "sub-tls"), caIssuer("tls/root", "root-tls"),
	))
	var got []string
	for _, a := range p.Actions {
		got = append(got, fmt.Sprintf("%d %s by %s", a.Level, a.Name, a.Signer.Authority))
	}
	same(t, got, []string{
		"0 tls/self by ", "0 tls/root by ",
		"1 tls/sub by tls/root", "1 tls/leaf2 by tls/root",
		"2 tls/leaf1 by tls/sub", "2 tls/request by tls/sub",
	})
}

// forest makes authorities, each below one of those before it, and leaves below
// them, all in chance's order.
func forest(chance *rand.Rand, authorities, leaves int) []any {
	var all []any
	under := func(i int) func(*cmapi.CertificateSpec) {
		if i == 0 {
			return ref("", "ca")
		}
		return ref("", fmt.Sprintf("issuer%d", chance.IntN(i)))
	}
	for i := range authorities {
		all = append(all, certificate(fmt.Sprintf("tls/ca%d", i), isCA, under(i)), caIssuer(fmt.Sprintf("tls/issuer%d", i), fmt.Sprintf("ca%d-tls", i)))
	}
	for i := range leaves {
		all = append(all, certificate(fmt.Sprintf("tls/leaf%d", i), under(authorities)))
	}
	return all
}

// In whatever order the input comes, the same is done, and nothing before what it
// depends on.
func TestShuffled(t *testing.T) {
	t.Parallel()
	for seed := range uint64(50) {
		chance := rand.New(rand.NewPCG(seed, 0))
		objects := forest(chance, 1+chance.IntN(20), chance.IntN(40))
		there := directory{}
		for _, o := range objects {
			if c, ok := o.(*manifest.Certificate); ok && chance.IntN(2) == 0 {
				there[c.Key.String()] = actual(c, func(a *Actual) { a.HasKey = chance.IntN(3) > 0 })
			}
		}
		var want []string
		for range 5 {
			p := mustMake(t, there.with(inputOf(objects...)))
			done := map[string]int{}
			for _, a := range p.Actions {
				if level, ok := done[a.Signer.Authority]; !a.Signer.SelfSigned && (!ok || level >= a.Level) {
					t.Fatalf("seed %d: %s comes before %s", seed, a.Name, a.Signer.Authority)
				}
				done[a.Name] = a.Level
			}
			got := lines(p)
			slices.Sort(got)
			if want == nil {
				want = got
			}
			same(t, got, want)
			chance.Shuffle(len(objects), func(i, j int) { objects[i], objects[j] = objects[j], objects[i] })
		}
	}
}

func large(b *testing.B) Input {
	b.Helper()
	objects := []any{certificate("tls/root", isCA), caIssuer("root", "root-tls")}
	for i := range 100 {
		name := fmt.Sprintf("sub%d", i)
		objects = append(objects, certificate("tls/"+name, isCA, ref("ClusterIssuer", "root")), caIssuer(name, name+"-tls"))
	}
	for i := range 100_000 {
		objects = append(objects, certificate(fmt.Sprintf("team-%d/leaf%d", i%500, i), ref("ClusterIssuer", fmt.Sprintf("sub%d", i%100))))
	}
	in := inputOf(objects...)
	in.ClusterNamespace = "tls"
	return in
}

func BenchmarkCreate100k(b *testing.B) { benchmark(b, large(b)) }

func BenchmarkKeep100k(b *testing.B) {
	in := large(b)
	there := directory{}
	for _, c := range in.Set.Certificates {
		signer := "tls/" + c.Spec.IssuerRef.Name
		if signer == "tls/ca" {
			signer = c.Key.String()
		}
		there[c.Key.String()] = actual(c, by(signer))
	}
	in.Actual, in.Authorities = func(name string) (*Actual, error) { return there[name], nil }, func(string) bool { return true }
	benchmark(b, in)
}

func benchmark(b *testing.B, in Input) {
	b.Helper()
	b.ReportAllocs()
	var before, after runtime.MemStats
	var p *Plan
	runtime.GC()
	runtime.ReadMemStats(&before)
	for b.Loop() {
		p = mustMake(b, in)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/(1<<20), "MB-kept")
	runtime.KeepAlive(p)
}
