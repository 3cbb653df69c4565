package plan

import (
	"encoding/json"
	"errors"
	"fmt"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"

	"github.com/mtlsctl/mtlsctl/internal/manifest"
)

// Applied is what a manifest asked for when a certificate was issued, and when its
// Secret was last written. It is kept beside the certificate, as JSON, and is what
// the next plan compares with. No secret is in it: passwords of keystores are left
// out.
type Applied struct {
	// Certificate, or Request, is what the certificate was issued for.
	Certificate *cmapi.CertificateSpec        `json:"certificate,omitempty"`
	Request     *cmapi.CertificateRequestSpec `json:"request,omitempty"`
	// Written has the fields of the Certificate that make the Secret, if it was
	// rewritten since: secretName, secretTemplate, keystores, issuerRef and
	// additionalOutputFormats.
	Written *cmapi.CertificateSpec `json:"written,omitempty"`
}

// NewApplied is what to keep once a certificate has been issued or adopted for c.
func NewApplied(c *manifest.Certificate) *Applied {
	spec := c.Spec
	spec.Keystores = withoutPasswords(spec.Keystores)
	return &Applied{Certificate: &spec}
}

// NewAppliedRequest is what to keep once a certificate has been issued for r.
func NewAppliedRequest(r *manifest.Request) *Applied {
	return &Applied{Request: &cmapi.CertificateRequestSpec{
		Duration: r.Spec.Duration, IssuerRef: r.Spec.IssuerRef, Request: r.Spec.Request, IsCA: r.Spec.IsCA, Usages: r.Spec.Usages,
	}}
}

// Rewritten is what to keep once the Secret has been written again for c, with the
// key and certificate that were there.
func (a *Applied) Rewritten(c *manifest.Certificate) *Applied {
	s := &c.Spec
	return &Applied{Certificate: a.Certificate, Written: &cmapi.CertificateSpec{
		SecretName: s.SecretName, SecretTemplate: s.SecretTemplate, Keystores: withoutPasswords(s.Keystores),
		IssuerRef: s.IssuerRef, AdditionalOutputFormats: s.AdditionalOutputFormats,
	}}
}

// written has the fields that the Secret was last made from.
func (a *Applied) written() *cmapi.CertificateSpec {
	if a.Written != nil {
		return a.Written
	}
	return a.Certificate
}

// SecretSpec has the fields that the Secret was last made from; nil for a
// CertificateRequest, which has none.
func (a *Applied) SecretSpec() *cmapi.CertificateSpec { return a.written() }

func withoutPasswords(k *cmapi.CertificateKeystores) *cmapi.CertificateKeystores {
	if k == nil {
		return nil
	}
	k = k.DeepCopy()
	if k.JKS != nil {
		k.JKS.Password = nil
	}
	if k.PKCS12 != nil {
		k.PKCS12.Password = nil
	}
	return k
}

// Encode writes a as JSON.
func (a *Applied) Encode() (json.RawMessage, error) {
	data, err := json.Marshal(a)
	if err != nil {
		return nil, fmt.Errorf("recording what was applied: %w", err)
	}
	return data, nil
}

// Decode reads what Encode wrote. Fields that it does not know are passed over.
func Decode(data json.RawMessage) (*Applied, error) {
	var a Applied
	if err := json.Unmarshal(data, &a); err != nil {
		return nil, fmt.Errorf("the record of what was applied: %w", err)
	}
	if (a.Certificate == nil) == (a.Request == nil) || a.Written != nil && a.Certificate == nil {
		return nil, errors.New("the record of what was applied has to be about one Certificate or one CertificateRequest")
	}
	return &a, nil
}
