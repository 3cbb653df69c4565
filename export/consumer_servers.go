package export

import "fmt"

// nginxConfig: ssl_verify_depth is 1 unless it is said, and counts the CAs; CRLs
// are wanted of all of them (nginx.org, ngx_http_ssl_module).
func nginxConfig(p *Placement) string {
	text := ""
	if p.Role() != Authority {
		text += fmt.Sprintf("ssl_certificate        %s;\nssl_certificate_key    %s;\n", p.Path("tls.crt"), p.Path("tls.key"))
	}
	text += fmt.Sprintf("ssl_client_certificate %s;\nssl_verify_client      on;\nssl_verify_depth       %d;\n", p.Path("ca.crt"), p.Depth())
	if p.CRL {
		text += fmt.Sprintf("ssl_crl                %s;\n", p.Path("crl.pem"))
	}
	return text
}
