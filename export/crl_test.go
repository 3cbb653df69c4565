package export

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mtlsctl/mtlsctl/internal/pkitest"
	"github.com/mtlsctl/mtlsctl/pki"
)

func TestCRL(t *testing.T) {
	t.Parallel()
	ca := pkitest.Issuing(t)
	b := &pki.Bundle{Chain: ca.Chain(), Roots: ca.Roots()}
	var lists []byte
	for _, a := range []*pki.Authority{ca, pkitest.Root(t)} {
		der, err := a.SignCRL(big.NewInt(1), pkitest.Clock().Add(time.Hour), nil)
		if err != nil {
			t.Fatal(err)
		}
		lists = append(lists, pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der})...)
	}
	if diff := cmp.Diff(File{Name: "crl.pem", Data: lists}, file(t, CRL{Lists: lists}, b)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	f := file(t, CRL{Lists: lists, DER: true}, b)
	list, err := x509.ParseRevocationList(f.Data)
	if err != nil || f.Private || !bytes.Equal(list.RawIssuer, ca.Certificate().RawSubject) {
		t.Errorf("the DER is of %v, private %v: %v", list, f.Private, err)
	}

	if _, err := (CRL{}).Export(b); !errors.Is(err, ErrNoCRL) {
		t.Errorf("without a CRL: error %v", err)
	}
	for _, damaged := range []string{"no PEM", string(b.ChainPEM())} {
		if _, err := (CRL{Lists: []byte(damaged), DER: true}).Export(b); err == nil || err.Error() != "the CRL is damaged: it is not PEM" {
			t.Errorf("damaged: error %v", err)
		}
	}
}
