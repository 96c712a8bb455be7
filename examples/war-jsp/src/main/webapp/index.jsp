<%@ page contentType="text/html; charset=UTF-8" %>
<!doctype html>
<title>Hello</title>
<h1>Hello from <%= application.getServerInfo() %></h1>
<p>1 + 1 = <%= 1 + 1 %></p>
