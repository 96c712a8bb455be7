"""The lab: the article's situation in network namespaces with real daemons, and probes that count packets both ways."""
