set -e
javac -d classes src/Hello.java
jar --create --file hello.jar --main-class Hello -C classes .
rm -r classes
