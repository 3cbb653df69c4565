// Command bare makes keys and certificates on all cores, and nothing else: the
// work that is in every issuing of as many certificates.
package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

func main() {
	count, err := strconv.ParseInt(os.Args[1], 10, 64)
	check(err)
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(err)
	now := time.Now()
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "bare"}, NotBefore: now, NotAfter: now.Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign, SubjectKeyId: []byte{1},
	}
	var next atomic.Int64
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for i := next.Add(1); i <= count; i = next.Add(1) {
				key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
				check(err)
				_, err = x509.CreateCertificate(rand.Reader, &x509.Certificate{
					SerialNumber: big.NewInt(i + 1), NotBefore: now, NotAfter: now.Add(time.Hour),
					DNSNames: []string{fmt.Sprintf("leaf-%d.bulk.svc.cluster.local", i)}, BasicConstraintsValid: true,
					KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
				}, ca, key.Public(), caKey)
				check(err)
			}
		})
	}
	wg.Wait()
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
