// names answers what pods ask of the DNS: CoreDNS, with no more of its plugins than a cluster needs
// that reaches nothing outside. A name is in the file of hosts, or in the cluster, or is refused.
package main

import (
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/coremain"
	_ "github.com/coredns/coredns/plugin/bind"
	_ "github.com/coredns/coredns/plugin/cache"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/hosts"
	_ "github.com/coredns/coredns/plugin/kubernetes"
	_ "github.com/coredns/coredns/plugin/template"
)

// The order in which a question goes through them; CoreDNS has `template` before the others.
func init() {
	dnsserver.Directives = []string{"bind", "errors", "cache", "hosts", "kubernetes", "template"}
}

func main() { coremain.Run() }
