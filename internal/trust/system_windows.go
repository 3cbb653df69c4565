package trust

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"syscall"
	"unsafe"

	"github.com/smallstep/truststore"
	"golang.org/x/sys/windows"
)

// rootStore is the store of trusted roots of the user, to which Windows adds
// those of the machine when it is read.
type rootStore struct{}

// rootPath is what PowerShell calls it.
const rootPath = `Cert:\CurrentUser\Root`

func (m *Machine) systemStore() *Store {
	return &Store{Kind: System, Path: rootPath, Tool: "Windows", backend: rootStore{}}
}

func (rootStore) read(context.Context) (c Contents, err error) {
	err = eachRoot(func(_ *windows.CertContext, der []byte) error {
		c.entries = append(c.entries, entry{der: bytes.Clone(der), trusted: true, where: rootPath, alone: true})
		return nil
	})
	return c, err
}

func (rootStore) add(_ context.Context, cert *x509.Certificate) error {
	return truststore.Install(cert)
}

// remove removes the certificate itself. The library would remove all that have
// its serial number, and some public roots have 0 or 1.
func (rootStore) remove(_ context.Context, cert *x509.Certificate, _ Contents) error {
	return eachRoot(func(c *windows.CertContext, der []byte) error {
		if !bytes.Equal(der, cert.Raw) {
			return nil
		}
		// To delete frees the context, which the walk goes on from.
		return windows.CertDeleteCertificateFromStore(windows.CertDuplicateCertificateContext(c))
	})
}

// eachRoot calls f with every certificate of the store.
func eachRoot(f func(c *windows.CertContext, der []byte) error) (err error) {
	name, err := syscall.UTF16PtrFromString("ROOT")
	if err != nil {
		return err
	}
	store, err := windows.CertOpenSystemStore(0, name)
	if err != nil {
		return fmt.Errorf("the store of trusted roots: %w", err)
	}
	defer func() { err = errors.Join(err, windows.CertCloseStore(store, 0)) }()
	var c *windows.CertContext
	for {
		c, err = windows.CertEnumCertificatesInStore(store, c)
		if errors.Is(err, syscall.Errno(windows.CRYPT_E_NOT_FOUND)) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("the store of trusted roots: %w", err)
		}
		der := unsafe.Slice(c.EncodedCert, c.Length) //nolint:gosec // as long as Windows says
		if err := f(c, der); err != nil {
			return errors.Join(err, windows.CertFreeCertificateContext(c))
		}
	}
}
