# The SPDX 2.3 document, from what sbom beside this file gathered:
# $name, $version, $created, $distro; $files and $packages, tab-separated lines.
def rows: split("\n") | map(select(. != "") | split("\t"));
def id($kind; $text): "SPDXRef-\($kind)-" + ($text | gsub("[^A-Za-z0-9.-]"; "-"));

($files | rows) as $files | ($packages | rows) as $packages
| id("Package"; $name) as $self
| {
    spdxVersion: "SPDX-2.3",
    dataLicense: "CC0-1.0",
    SPDXID: "SPDXRef-DOCUMENT",
    name: "\($name)-\($version)",
    # Unique by content: the digest of the binary that it describes.
    documentNamespace: "https://spdx.org/spdxdocs/\($name)-\($version)-\($files[0][2])",
    creationInfo: {created: $created, creators: ["Tool: attnserve-deploy-container-sbom"]},
    packages: (
      [{
        SPDXID: $self, name: $name, versionInfo: $version,
        supplier: "NOASSERTION", downloadLocation: "NOASSERTION", filesAnalyzed: false,
        licenseConcluded: "Apache-2.0", licenseDeclared: "Apache-2.0", copyrightText: "NOASSERTION",
        primaryPackagePurpose: "APPLICATION"
      }] + ($packages | map({
        SPDXID: id("Package"; .[0]), name: .[1], versionInfo: .[2],
        supplier: "Organization: Debian", downloadLocation: "NOASSERTION", filesAnalyzed: false,
        # Its copyright file, in the image, is the word on this.
        licenseConcluded: "NOASSERTION", licenseDeclared: "NOASSERTION", copyrightText: "NOASSERTION",
        licenseComments: "/usr/share/doc/\(.[1])/copyright",
        sourceInfo: "built from Debian source package \(.[4]) \(.[5])",
        primaryPackagePurpose: "LIBRARY",
        externalRefs: [{
          referenceCategory: "PACKAGE-MANAGER", referenceType: "purl",
          referenceLocator: "pkg:deb/debian/\(.[1] | @uri)@\(.[2] | @uri)?arch=\(.[3])&distro=\($distro)"
        }]
      }))),
    files: ($files | map({
      SPDXID: id("File"; .[0]), fileName: ("." + .[0]), fileTypes: ["BINARY"],
      checksums: [{algorithm: "SHA1", checksumValue: .[1]}, {algorithm: "SHA256", checksumValue: .[2]}],
      licenseConcluded: "NOASSERTION", licenseInfoInFiles: ["NOASSERTION"], copyrightText: "NOASSERTION"
    })),
    relationships: (
      [{spdxElementId: "SPDXRef-DOCUMENT", relationshipType: "DESCRIBES", relatedSpdxElement: $self}]
      + ($packages | map({
          spdxElementId: $self, relationshipType: "DEPENDS_ON", relatedSpdxElement: id("Package"; .[0])}))
      # Not CONTAINS, which SPDX keeps for packages whose files are all listed.
      + ($files | map({
          spdxElementId: id("File"; .[0]),
          relationshipType: (if .[3] == "" then "GENERATED_FROM" else "EXPANDED_FROM_ARCHIVE" end),
          relatedSpdxElement: (if .[3] == "" then $self else id("Package"; .[3]) end)})))
  }
