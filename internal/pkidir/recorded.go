package pkidir

import (
	"encoding/json"
	"fmt"

	"github.com/mtlsctl/mtlsctl/internal/ledger"
	"github.com/mtlsctl/mtlsctl/pki"
	"github.com/mtlsctl/mtlsctl/profiles"
)

// KeyType returns the type of the key that an entry's certificate is for.
func KeyType(e *ledger.Entry) (profiles.KeyType, error) {
	var r struct {
		Key profiles.KeyType `json:"key"`
	}
	if err := json.Unmarshal(e.Request, &r); err != nil {
		return "", fmt.Errorf("the record of %q in the ledger: %w", e.Name, err)
	}
	return r.Key, nil
}

// AuthorityURLs returns the URLs that go into what an authority signs.
func (d *Dir) AuthorityURLs(name string) pki.URLs { return d.urls(name) }
