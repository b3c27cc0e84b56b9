#!/bin/sh
# Fetches Apache Kafka's jars with Maven into a directory; does nothing when that version is there already.
#   .ci/install-kafka.sh DIR [VERSION]        (default 4.1.0; needs mvn and a JDK 17)
set -eu
dir=${1:?usage: install-kafka.sh DIR [VERSION]}
version=${2:-4.1.0}
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
# The stamp is written last: a copy that broke off is done again.
if [ "$(cat "$dir/.complete" 2>/dev/null || true)" = "$version" ]; then
    exit 0
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/pom.xml" <<POM
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>cardwatch.test</groupId>
  <artifactId>kafka</artifactId>
  <version>1</version>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>$version</version></dependency>
    <!-- without a binding a broker that does not start says nothing -->
    <dependency><groupId>org.apache.logging.log4j</groupId><artifactId>log4j-slf4j-impl</artifactId><version>2.24.3</version></dependency>
  </dependencies>
</project>
POM
mvn -q -B -f "$work/pom.xml" dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$work/libs"
rm -f "$dir"/*.jar
mv "$work"/libs/*.jar "$dir"/
echo "$version" >"$dir/.complete"
