package export

import (
	"encoding/json"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/mtlsctl/mtlsctl/pki"
)

// A CertificateRequest is cert-manager's resource of that name as its issuers
// leave it: with the certificate in its status. It has no key.
type CertificateRequest struct {
	Name, Namespace     string
	Labels, Annotations map[string]string
	Spec                any       // as it came
	IssuedAt            time.Time // when the conditions became true
}

type requestObject struct {
	APIVersion string        `json:"apiVersion"`
	Kind       string        `json:"kind"`
	Metadata   secretMeta    `json:"metadata"`
	Spec       any           `json:"spec"`
	Status     requestStatus `json:"status"`
}

type requestStatus struct {
	CA          []byte             `json:"ca,omitempty"`
	Certificate []byte             `json:"certificate"`
	Conditions  []requestCondition `json:"conditions"`
}

type requestCondition struct {
	Type               string `json:"type"`
	Status             string `json:"status"`
	Reason             string `json:"reason"`
	Message            string `json:"message"`
	LastTransitionTime string `json:"lastTransitionTime"`
}

// Append appends the resource to a stream, as [CertManagerSecret.Append] does. A
// bundle without a certificate is [ErrNoCertificate].
func (r *CertificateRequest) Append(dst []byte, b *pki.Bundle, asJSON bool) ([]byte, error) {
	if len(b.Chain) == 0 {
		return dst, ErrNoCertificate
	}
	at := r.IssuedAt.UTC().Format(time.RFC3339)
	o := requestObject{
		APIVersion: "cert-manager.io/v1",
		Kind:       "CertificateRequest",
		Metadata:   secretMeta{r.Name, r.Namespace, r.Labels, r.Annotations},
		Spec:       r.Spec,
		Status: requestStatus{Certificate: b.ChainPEM(), Conditions: []requestCondition{
			{"Approved", "True", "cert-manager.io", "Certificate request has been approved by mtlsctl", at},
			{"Ready", "True", "Issued", "Certificate fetched from issuer successfully", at},
		}},
	}
	if len(b.Roots) > 0 {
		o.Status.CA = pki.MarshalCertificates(b.Roots[:1])
	}
	if asJSON {
		data, err := json.Marshal(o)
		return append(append(dst, data...), '\n'), err
	}
	data, err := yaml.Marshal(o)
	return append(append(dst, "---\n"...), data...), err
}
