sub vcl_backend_response {
  if (beresp.http.Cache-Control ~ "no-store") {
    set beresp.uncacheable = true;
  }
}

sub vcl_deliver {
  if (obj.hits > 0) {
    set resp.http.X-Cache = "HIT";
  } else {
    set resp.http.X-Cache = "MISS";
  }
}
