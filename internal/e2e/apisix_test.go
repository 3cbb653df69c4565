package e2e

import (
	"encoding/json"
	"testing"
)

// APISIX is nginx, given the same by other means: what the JSON says, nginx does.
// The server and its clients are below two intermediates.
func TestAPISIXByNginx(t *testing.T) {
	t.Parallel()
	s := newAcme(t, []string{"nginx", "curl"},
		"init-ca team --parent root --path-len 1",
		"init-ca deep --parent team",
		"issue server web localhost 127.0.0.1 --ca deep",
		"issue client alice@example.com --ca deep",
		"issue client bob@example.com",
		"--pki other init-ca",
		"--pki other issue client mallory@example.com",
	)
	var ssl struct {
		Cert, Key string
		Client    struct {
			CA    string
			Depth int
		}
	}
	if err := json.Unmarshal([]byte(s.ok(t, "mtlsctl export apisix web --mtls").stdout), &ssl); err != nil {
		t.Fatal(err)
	}
	at := folder("ssl")
	s.ok(t, "mkdir ssl")
	s.write(t, at.crt(), []byte(ssl.Cert))
	s.write(t, at.key(), []byte(ssl.Key))
	s.write(t, at.ca(), []byte(ssl.Client.CA))
	_, addresses := s.nginx(t, site{mount: at, depth: ssl.Client.Depth}, site{mount: at})
	url := "https://" + addresses[0]
	for _, client := range []string{"alice@example.com", "bob@example.com"} {
		s.ok(t, curl+as(client)+url).mustSay(t, "SUCCESS", "CN="+client)
	}
	s.ok(t, curl+url).mustSay(t, noCertificate)
	s.ok(t, curl+folder("other/certificates/mallory@example.com").as()+url).mustSay(t, badCertificate)
	// The depth counts: nginx's own takes one intermediate less.
	s.ok(t, curl+as("alice@example.com")+"https://"+addresses[1]).mustSay(t, badCertificate)
}
