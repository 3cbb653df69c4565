package export

import (
	"fmt"
	"path"
	"strconv"
	"strings"
)

// nginxConfig: ssl_verify_depth and proxy_ssl_verify_depth are 1 unless they are
// said, and count the CAs; CRLs are wanted of all of them; nothing is read again
// before a reload (nginx.org, ngx_http_ssl_module and ngx_http_proxy_module).
func nginxConfig(p *Placement) string {
	text := `
ssl_client_certificate <ca.crt>;
ssl_verify_client      on;
ssl_verify_depth       <DEPTH>;
ssl_crl                <crl.pem>; # read anew at a reload; one that has expired shuts everybody out
`
	switch p.Role() {
	case Authority:
	case Client:
		text = `
# Beside proxy_pass, whose host must be a name in the server's certificate.
proxy_ssl_certificate         <tls.crt>;
proxy_ssl_certificate_key     <tls.key>;
proxy_ssl_trusted_certificate <ca.crt>;
proxy_ssl_verify              on;
proxy_ssl_verify_depth        <DEPTH>;
proxy_ssl_server_name         on;
proxy_ssl_crl                 <crl.pem>;
`
	default:
		text = `
ssl_certificate        <tls.crt>;
ssl_certificate_key    <tls.key>;` + text
	}
	return p.fill(inQuotes, text, "DEPTH", strconv.Itoa(p.Depth()))
}

// haproxyConfig: crt is certificate, chain and key in one; without verifyhost and
// sni no name is looked at; a CRL file wants one of each CA (HAProxy
// configuration manual, 5.1 and 5.2).
func haproxyConfig(p *Placement) string {
	crl := ""
	if p.CRL {
		crl = " crl-file <crl.pem>"
	}
	pem := path.Base(p.Name) + ".pem"
	switch p.Role() {
	case Authority:
		return p.fill(inHAProxy, `
# On a bind line, after ssl and crt.
ca-file <ca.crt> verify required`+crl)
	case Client:
		return p.fill(inHAProxy, fmt.Sprintf(`
# Without verifyhost or sni, any server of the CA would do.
server app <HOST>:443 ssl crt <%s> ca-file <ca.crt> verify required sni str(<HOST>) verifyhost <HOST>%s
`, pem, crl), host, host)
	}
	return p.fill(inHAProxy, fmt.Sprintf(`
# Clients are told the names in ca-file; a root in ca-verify-file instead is not told.
bind :443 ssl crt <%s> ca-file <ca.crt> verify required%s
`, pem, crl))
}

// inHAProxy is [inQuotes] where $ means a variable (HAProxy configuration manual,
// 2.2 and 2.3).
func inHAProxy(path string) string { return strings.ReplaceAll(inQuotes(path), "$", `\$`) }

// envoyConfig: files are read once unless SDS watches them; with a CRL, one of
// each CA is wanted; a name is looked at if it is asked for (Envoy's API, extensions
// transport_sockets tls v3).
func envoyConfig(p *Placement) string {
	validation := `
      validation_context:
        trusted_ca:
          filename: <ca.crt>
`
	if p.CRL {
		validation += `        crl:
          filename: <crl.pem>
`
	}
	files := `
    common_tls_context:
      tls_certificates:
      - certificate_chain:
          filename: <tls.crt>
        private_key:
          filename: <tls.key>`
	socket := `
transport_socket:
  name: envoy.transport_sockets.tls
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.`
	names := `        match_typed_subject_alt_names:
        - san_type: DNS
          matcher:
            exact: <HOST>
`
	switch p.Role() {
	case Authority:
		return p.fill(yamlWord, "# In the common_tls_context of a listener or a cluster.\nvalidation_context:\n  trusted_ca:\n    filename: <ca.crt>\n")
	case Client:
		return p.fill(yamlWord, "# In a cluster. Without the last lines, any server of the CA would do."+
			socket+"UpstreamTlsContext\n    sni: <HOST>"+files+validation+names, host, host)
	}
	return p.fill(yamlWord, "# In a filter chain. Files that change are seen through SDS with watched_directory alone."+
		socket+"DownstreamTlsContext\n    require_client_certificate: true"+files+validation)
}

// curlConfig: --crlfile wants a CRL of each CA (curl.se, the man page).
func curlConfig(p *Placement) string {
	crl := ""
	if p.CRL {
		crl = " --crlfile <crl.pem>"
	}
	if p.Role() == Authority {
		return p.fill(ShellWord, "curl --cacert <ca.crt>"+crl+" https://<HOST>/", host, host)
	}
	return p.fill(ShellWord, "curl --cacert <ca.crt> --cert <tls.crt> --key <tls.key>"+crl+" https://<HOST>/", host, host)
}

// javaConfig is a file of arguments: `java @FILE` (JDK Tool Specifications, java).
func javaConfig(p *Placement) string {
	kind := "PKCS12"
	if p.Format == "jks" || p.StoreType == StoreJKS {
		kind = "JKS"
	}
	file, shown := inArgFile(p.file()), ShellWord(p.file())
	if p.Format == "truststore" {
		return p.fill(asIs, `
-Djavax.net.ssl.trustStore=<FILE>
-Djavax.net.ssl.trustStoreType=<TYPE>
-Djavax.net.ssl.trustStorePassword=<PASSWORD>
# To look at it: keytool -list -keystore <SHOWN> -storepass <PASSWORD>
`, "FILE", file, "SHOWN", shown, "TYPE", kind, "PASSWORD", TruststorePassword)
	}
	return p.fill(asIs, `
# In a file for java @FILE, so that the password is in no list of processes.
-Djavax.net.ssl.keyStore=<FILE>
-Djavax.net.ssl.keyStoreType=<TYPE>
-Djavax.net.ssl.keyStorePassword=PASSWORD
# The root to trust: mtlsctl export truststore <NAME> --for java
# To look at it: keytool -list -keystore <SHOWN>
`, "FILE", file, "SHOWN", shown, "TYPE", kind, "NAME", ShellWord(p.Name))
}

// inArgFile puts quotes around a path that java would split, or take for a comment;
// within them, and there alone, a backslash begins an escape.
func inArgFile(path string) string {
	if strings.ContainsAny(path, " \t\f#'\"") {
		return `"` + escaped(path) + `"`
	}
	return path
}
