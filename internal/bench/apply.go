package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"time"
)

const (
	bulk       = 10_000
	bulkRounds = 3
	bulkRatio  = 1.5 // of the bare loop
	huge       = 100_000
	hugeMemory = 300 * mib
)

// compareApply times the applying of a manifest with many certificates against
// a loop that does nothing but make as many keys and certificates, and measures
// the memory that ten times as many take.
func compareApply(ctx context.Context, binary, dir string) error {
	bare := filepath.Join(dir, "bare")
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", bare, "./internal/bench/testdata/bare")
	if output, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", build, err, output)
	}
	manifest := filepath.Join(dir, "bulk.yaml")
	if err := writeManifest(manifest, bulk); err != nil {
		return err
	}
	apply := func(pki, file string) (time.Duration, int64, error) {
		t := tool{dir: dir, env: []string{"MTLSCTL_PKI="}}
		start := time.Now()
		memory, err := t.exec(ctx, "", []string{binary, "--pki", pki, "apply", "--quiet", "-f", file, "--out", "-"})
		return time.Since(start), memory, err
	}
	var loop, first, again []time.Duration
	for round := range bulkRounds {
		t := tool{dir: dir}
		start := time.Now()
		if _, err := t.exec(ctx, "", []string{bare, strconv.Itoa(bulk)}); err != nil {
			return err
		}
		loop = append(loop, time.Since(start))
		pki := fmt.Sprintf("bulk-%d", round)
		for _, times := range []*[]time.Duration{&first, &again} {
			took, _, err := apply(pki, manifest)
			if err != nil {
				return err
			}
			*times = append(*times, took)
		}
	}
	if err := writeManifest(manifest, huge); err != nil {
		return err
	}
	took, memory, err := apply("huge", manifest)
	if err != nil {
		return err
	}
	base := slices.Min(loop)
	ratio := float64(slices.Min(first)) / float64(base)
	fmt.Printf("\n%d certificates of one manifest to standard output, quickest of %d:\n", bulk, bulkRounds)
	fmt.Printf("  keys and signatures alone   %6.2f s   1.00\n", base.Seconds())
	fmt.Printf("  mtlsctl apply               %6.2f s   %.2f\n", slices.Min(first).Seconds(), ratio)
	fmt.Printf("  the same, unchanged         %6.2f s   %.2f\n", slices.Min(again).Seconds(), float64(slices.Min(again))/float64(base))
	fmt.Printf("%d certificates: %.1f s, peak memory %.0f MiB\n", huge, took.Seconds(), float64(memory)/mib)
	var failures []error
	if ratio > bulkRatio {
		failures = append(failures, fmt.Errorf("apply takes %.2f times the bare loop; the limit is %.1f", ratio, bulkRatio))
	}
	if memory > hugeMemory {
		failures = append(failures, fmt.Errorf("apply of %d certificates takes %.0f MiB; the limit is %d", huge, float64(memory)/mib, hugeMemory/mib))
	}
	return errors.Join(failures...)
}

// writeManifest writes a CA of its own and so many certificates under it.
func writeManifest(path string, count int) (err error) {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w := bufio.NewWriter(f)
	fmt.Fprint(w, manifestHead)
	for i := range count {
		fmt.Fprintf(w, manifestLeaf, i)
	}
	return w.Flush()
}

const manifestHead = `apiVersion: cert-manager.io/v1
kind: ClusterIssuer
metadata:
  name: self-signed
spec:
  selfSigned: {}
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata:
  name: ca
  namespace: bulk
spec:
  isCA: true
  commonName: bulk
  secretName: ca
  privateKey:
    algorithm: ECDSA
  issuerRef:
    name: self-signed
    kind: ClusterIssuer
---
apiVersion: cert-manager.io/v1
kind: Issuer
metadata:
  name: ca
  namespace: bulk
spec:
  ca:
    secretName: ca
`

const manifestLeaf = `---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata:
  name: leaf-%[1]d
  namespace: bulk
spec:
  secretName: leaf-%[1]d
  privateKey:
    algorithm: ECDSA
  usages:
    - digital signature
    - client auth
    - server auth
  dnsNames:
    - leaf-%[1]d.bulk.svc.cluster.local
  issuerRef:
    name: ca
`
